use plotters::prelude::*;

use crate::paint::{FAINT, INK, OUTLINE, draw_title, font};

const SIZE: (u32, u32) = (440, 470);
const BARS: RGBColor = RGBColor(0x51, 0x94, 0xe7);

/// A step of probability: number of predictions, their mean probability, and the share of them that is right.
pub type ReliabilityStep = (usize, f64, f64);

/// A reliability diagram as SVG: for equal steps of probability the share of predictions that are right. On the
/// diagonal a probability means what it says. `None` when it cannot be drawn.
pub fn reliability_svg(steps: &[ReliabilityStep], title: &str) -> Option<String> {
    let mut svg = String::new();
    draw(&mut svg, steps, title).ok()?;
    Some(svg)
}

fn draw(
    svg: &mut String,
    steps: &[ReliabilityStep],
    title: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let body = draw_title(&root, title)?;
    let mut chart = ChartBuilder::on(&body)
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(50)
        .build_cartesian_2d(0.0..1.0, 0.0..1.0)?;
    chart
        .configure_mesh()
        .x_desc("probability of the prediction")
        .y_desc("share that is right")
        .axis_desc_style(font(&FAINT))
        .label_style(font(&INK))
        .axis_style(OUTLINE)
        .bold_line_style(OUTLINE.mix(0.5))
        .light_line_style(TRANSPARENT)
        .draw()?;
    let width = 1.0 / steps.len().max(1) as f64;
    let bars = steps
        .iter()
        .enumerate()
        .filter(|(_, (count, ..))| *count > 0);
    chart.draw_series(bars.clone().map(|(step, (_, _, right))| {
        let corners = [
            (step as f64 * width, 0.0),
            ((step + 1) as f64 * width, *right),
        ];
        Rectangle::new(corners, BARS.mix(0.8).filled())
    }))?;
    chart.draw_series(bars.map(|(step, (count, _, right))| {
        let at = (step as f64 * width + 0.01, right.max(0.04));
        Text::new(count.to_string(), at, font(&INK))
    }))?;
    let diagonal = [(0.0, 0.0), (1.0, 1.0)];
    chart.draw_series(LineSeries::new(diagonal, FAINT.stroke_width(1)))?;
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_with_predictions_are_drawn() {
        let svg = reliability_svg(&[(0, 0.0, 0.0), (37, 0.7, 0.5)], "How sure").unwrap();
        assert!(svg.contains("37") && svg.contains("How sure"));
    }
}
