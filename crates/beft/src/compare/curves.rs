use plotters::prelude::*;

use crate::compare::Group;

const SIZE: (u32, u32) = (760, 440);
/// Colours that stay apart for people who see no red or no green (Okabe and Ito).
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(120, 120, 120),
    RGBColor(0, 0, 0),
];

/// The main metric by epoch, the mean over seeds, one line per mode, as SVG. `None` when there is
/// nothing to draw, or it cannot be drawn.
pub fn curves_svg(group: &Group) -> Option<String> {
    let mut lines: Vec<(&str, Vec<(f64, f64)>)> = Vec::new();
    for mode in &group.modes {
        let cells = group.results.iter().filter(|r| r.cell.mode == mode.mode);
        let cells: Vec<_> = cells.collect();
        let epochs = cells.iter().map(|c| c.epochs.len()).max().unwrap_or(0);
        let points = (0..epochs).filter_map(|epoch| {
            let values: Vec<f64> = cells
                .iter()
                .filter_map(|c| c.epochs.get(epoch)?.metrics.get(&group.metric).copied())
                .collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            (!values.is_empty()).then_some(((epoch + 1) as f64, mean))
        });
        lines.push((&mode.mode, points.collect()));
    }
    let points = || lines.iter().flat_map(|(_, points)| points);
    let low = points().fold(f64::INFINITY, |m, p| m.min(p.1));
    let high = points().fold(f64::NEG_INFINITY, |m, p| m.max(p.1));
    let last = points().fold(1.0f64, |m, p| m.max(p.0));
    if !low.is_finite() || !high.is_finite() {
        return None;
    }
    let margin = (0.05 * (high - low)).max(0.005);
    let mut svg = String::new();
    draw(&mut svg, group, &lines, last, (low - margin, high + margin)).ok()?;
    Some(svg)
}

fn draw(
    svg: &mut String,
    group: &Group,
    lines: &[(&str, Vec<(f64, f64)>)],
    last: f64,
    (low, high): (f64, f64),
) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let title = format!("{} on {}, {}", group.model, group.task, group.regime);
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(1.0..last.max(1.01), low..high)?;
    chart
        .configure_mesh()
        .x_desc("epoch")
        .y_desc(&group.metric)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.3}"))
        .x_labels((last as usize).clamp(2, 12))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (index, (mode, points)) in lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        chart
            .draw_series(LineSeries::new(
                points.iter().copied(),
                colour.stroke_width(2),
            ))?
            .label(*mode)
            .legend(move |(x, y)| {
                PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2))
            });
        let dots = points.iter().map(|p| Circle::new(*p, 3, colour.filled()));
        chart.draw_series(dots)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(RGBColor(200, 200, 200))
        .draw()?;
    root.present()?;
    Ok(())
}
