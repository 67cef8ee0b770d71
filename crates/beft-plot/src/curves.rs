use plotters::prelude::*;

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

/// One line of a chart.
#[derive(Clone, Debug)]
pub struct Curve {
    /// What it is of.
    pub name: String,
    /// Epoch, from 1, and value.
    pub points: Vec<(f64, f64)>,
}

/// Draws learning curves as SVG: a metric by epoch, one line for each of `curves`. `None` when there is
/// nothing to draw, or it cannot be drawn.
pub fn curves_svg(title: &str, metric: &str, curves: &[Curve]) -> Option<String> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let low = points().fold(f64::INFINITY, |m, p| m.min(p.1));
    let high = points().fold(f64::NEG_INFINITY, |m, p| m.max(p.1));
    let last = points().fold(1.0f64, |m, p| m.max(p.0));
    if !low.is_finite() || !high.is_finite() {
        return None;
    }
    let margin = (0.05 * (high - low)).max(0.005);
    let mut svg = String::new();
    draw(
        &mut svg,
        (title, metric),
        curves,
        last,
        (low - margin, high + margin),
    )
    .ok()?;
    Some(svg)
}

fn draw(
    svg: &mut String,
    (title, metric): (&str, &str),
    curves: &[Curve],
    last: f64,
    (low, high): (f64, f64),
) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(1.0..last.max(1.01), low..high)?;
    chart
        .configure_mesh()
        .x_desc("epoch")
        .y_desc(metric)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.3}"))
        .x_labels((last as usize).clamp(2, 12))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (index, Curve { name, points }) in curves.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        chart
            .draw_series(LineSeries::new(
                points.iter().copied(),
                colour.stroke_width(2),
            ))?
            .label(name)
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
