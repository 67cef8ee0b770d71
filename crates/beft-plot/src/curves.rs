use plotters::prelude::*;

use crate::paint::{
    Area, CHAR_WIDTH, FAINT, INK, OUTLINE, TEXT_SIZE, cut, draw_title, font, title_height,
};

// Lengths in pixels.
const PLOT: (u32, u32) = (620, 400);
const LEGEND_LINE: i32 = 24;
const SAMPLE: i32 = 36;
/// Characters of a name in the legend.
const NAME: usize = 24;
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
/// Length of a dash, and of the gap behind it, through which a line below is seen. The first one has no gaps.
const DASHES: [(u32, u32); 4] = [(1, 0), (9, 6), (4, 6), (2, 5)];

/// A point of a [`Curve`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// Epoch, from 1.
    pub epoch: f64,
    /// The value.
    pub value: f64,
    /// Its standard deviation over seeds; 0 of one seed.
    pub deviation: f64,
}

/// One line of a chart.
#[derive(Clone, Debug)]
pub struct Curve {
    /// What it is of.
    pub name: String,
    /// By rising epoch.
    pub points: Vec<CurvePoint>,
}

/// Draws learning curves as SVG: a metric by epoch, one line for each of `curves`, with a band of one standard deviation
/// on both sides. Lines differ in colour, dashes and marks, so that those that coincide can be told apart; the legend
/// stands beside the data. `None` when there is nothing to draw, or it cannot be drawn.
pub fn curves_svg(title: &str, metric: &str, curves: &[Curve]) -> Option<String> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let low = points().fold(f64::INFINITY, |m, p| m.min(p.value - p.deviation));
    let high = points().fold(f64::NEG_INFINITY, |m, p| m.max(p.value + p.deviation));
    let last = points().fold(1.0f64, |m, p| m.max(p.epoch));
    if !low.is_finite() || !high.is_finite() {
        return None;
    }
    let margin = (0.05 * (high - low)).max(0.005);
    let mut svg = String::new();
    let chart = Chart {
        metric,
        curves,
        last,
        range: (low - margin, high + margin),
    };
    chart.draw(&mut svg, title).ok()?;
    Some(svg)
}

struct Chart<'a> {
    metric: &'a str,
    curves: &'a [Curve],
    last: f64,
    range: (f64, f64),
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

impl Chart<'_> {
    fn draw(&self, svg: &mut String, title: &str) -> Drawn {
        let names = self
            .curves
            .iter()
            .map(|c| cut(&c.name, NAME).chars().count());
        let names = names.max().unwrap_or(0) as f64 * TEXT_SIZE * CHAR_WIDTH;
        let legend = SAMPLE as u32 + 24 + names as u32;
        let width = PLOT.0 + legend;
        let height = PLOT
            .1
            .max(LEGEND_LINE as u32 * self.curves.len() as u32 + 40);
        let top = title_height(title, width);
        let root = SVGBackend::with_string(svg, (width, top + height)).into_drawing_area();
        root.fill(&WHITE)?;
        let body = draw_title(&root, title)?;
        let (plot, side) = body.split_horizontally(PLOT.0);
        self.draw_plot(&plot)?;
        self.draw_legend(&side)?;
        root.present()?;
        Ok(())
    }

    fn draw_plot<'a>(&self, area: &Area<'a>) -> Drawn {
        let last = self.last.max(1.01);
        let mut chart = ChartBuilder::on(area)
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(1.0..last, self.range.0..self.range.1)?;
        // Epochs are whole.
        let epoch = |x: &f64| match (x - x.round()).abs() < 1e-6 {
            true => format!("{x:.0}"),
            false => String::new(),
        };
        chart
            .configure_mesh()
            .x_desc("epoch")
            .y_desc(self.metric)
            .axis_desc_style(font(&FAINT))
            .label_style(font(&INK))
            .axis_style(OUTLINE)
            .bold_line_style(OUTLINE.mix(0.5))
            .light_line_style(TRANSPARENT)
            .x_label_formatter(&epoch)
            .y_label_formatter(&|y| format!("{y:.3}"))
            .x_labels((self.last as usize).clamp(2, 12))
            .draw()?;
        for (index, curve) in self.curves.iter().enumerate() {
            let edge = |side: f64| move |p: &CurvePoint| (p.epoch, p.value + side * p.deviation);
            if curve.points.iter().any(|p| p.deviation > 0.0) {
                let above = curve.points.iter().map(edge(1.0));
                let below = curve.points.iter().rev().map(edge(-1.0));
                let band: Vec<_> = above.chain(below).collect();
                let fill = COLOURS[index % COLOURS.len()].mix(0.12);
                chart.draw_series([Polygon::new(band, fill.filled())])?;
            }
        }
        for (index, curve) in self.curves.iter().enumerate() {
            let points: Vec<_> = curve.points.iter().map(|p| (p.epoch, p.value)).collect();
            let (colour, dash) = look(index);
            let style = colour.stroke_width(2);
            match dash {
                (_, 0) => chart.draw_series(LineSeries::new(points.iter().copied(), style))?,
                (dash, gap) => chart.draw_series(DashedLineSeries::new(
                    points.iter().copied(),
                    dash,
                    gap,
                    style,
                ))?,
            };
            for point in points {
                chart.plotting_area().draw(&mark(index, point))?;
            }
        }
        Ok(())
    }

    fn draw_legend<'a>(&self, area: &Area<'a>) -> Drawn {
        for (index, curve) in self.curves.iter().enumerate() {
            let y = 24 + LEGEND_LINE * index as i32;
            let (colour, (dash, gap)) = look(index);
            let style = colour.stroke_width(2);
            let step = (dash + gap) as usize;
            let dashes = match gap {
                0 => vec![(0, SAMPLE)],
                _ => (0..SAMPLE)
                    .step_by(step)
                    .map(|x| (x, (x + dash as i32).min(SAMPLE)))
                    .collect(),
            };
            for (from, to) in dashes {
                area.draw(&PathElement::new(vec![(from, y), (to, y)], style))?;
            }
            area.draw(&mark(index, (SAMPLE / 2, y)))?;
            let at = (SAMPLE + 8, y - 7);
            area.draw(&Text::new(cut(&curve.name, NAME), at, font(&INK)))?;
        }
        Ok(())
    }
}

/// Colour and dashes of a line.
fn look(index: usize) -> (RGBColor, (u32, u32)) {
    // When the colours begin again, they come with the next dashes and marks.
    (
        COLOURS[index % COLOURS.len()],
        DASHES[kind(index) % DASHES.len()],
    )
}

fn kind(index: usize) -> usize {
    index + index / COLOURS.len()
}

/// What marks the points of a line: filled and hollow circles, triangles and crosses.
fn mark<'a, C>(index: usize, at: C) -> DynElement<'a, SVGBackend<'a>, C>
where
    C: Clone + 'static,
{
    let colour = COLOURS[index % COLOURS.len()];
    match kind(index) % 4 {
        0 => Circle::new(at, 3, colour.filled()).into_dyn(),
        1 => TriangleMarker::new(at, 5, colour.filled()).into_dyn(),
        2 => Circle::new(at, 4, colour.stroke_width(2)).into_dyn(),
        _ => Cross::new(at, 4, colour.stroke_width(2)).into_dyn(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(name: &str, deviation: f64) -> Curve {
        let points = [(1.0, 0.5), (2.0, 0.75)];
        let points = points.map(|(epoch, value)| CurvePoint {
            epoch,
            value,
            deviation,
        });
        Curve {
            name: name.to_owned(),
            points: points.to_vec(),
        }
    }

    #[test]
    fn seeds_have_a_band_and_lines_that_coincide_differ() {
        let alone = curves_svg("Tickets", "accuracy", &[curve("v", 0.0)]).unwrap();
        assert!(!alone.contains("<polygon"), "{alone}");
        let both = [curve("v", 0.02), curve("q", 0.02)];
        let svg = curves_svg("Tickets", "accuracy", &both).unwrap();
        let bands = svg.matches("opacity=\"0.12\"").count();
        assert_eq!(bands, 2, "{svg}");
        // The second line has many dashes, the first one is whole.
        let lines = |colour: &str| svg.matches(&format!("stroke=\"{colour}\"")).count();
        assert!(lines("#D55E00") > 10 * lines("#0072B2"), "{svg}");
        for text in ["Tickets", "accuracy", "epoch", "v", "q", "1", "2"] {
            assert!(svg.contains(&format!("\n{text}\n")), "{text}: {svg}");
        }
        assert!(!svg.contains("\n1.5\n") && !svg.contains("\n1.2\n"));
    }

    #[test]
    fn thirty_two_lines_look_different() {
        let looks: Vec<_> = (0..32)
            .map(|index| (look(index).0, kind(index) % 4))
            .collect();
        for (index, one) in looks.iter().enumerate() {
            assert!(!looks[..index].contains(one), "{index}");
        }
    }

    #[test]
    fn nothing_is_no_picture() {
        assert!(curves_svg("", "", &[]).is_none());
    }
}
