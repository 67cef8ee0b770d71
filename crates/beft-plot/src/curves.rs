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
    /// The place on the axis, from 1: the epoch, or which learning rate.
    pub place: usize,
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
    /// By rising place.
    pub points: Vec<CurvePoint>,
}

/// What a metric is drawn by.
#[derive(Clone, Debug, PartialEq)]
pub enum CurveAxis {
    /// Epochs.
    Epochs,
    /// These learning rates, at equal distances.
    LearningRates(Vec<f64>),
}

impl CurveAxis {
    /// What stands below it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Epochs => "epoch",
            Self::LearningRates(_) => "learning rate",
        }
    }

    /// The same with what a reader might take it for.
    const fn described(&self) -> &'static str {
        match self {
            Self::Epochs => self.name(),
            Self::LearningRates(_) => "learning rate (not to scale)",
        }
    }

    /// The label of a place.
    pub fn label(&self, place: usize) -> String {
        match self {
            Self::Epochs => place.to_string(),
            Self::LearningRates(rates) => {
                let rate = place.checked_sub(1).and_then(|index| rates.get(index));
                rate.map_or_else(String::new, |rate| format!("{rate:e}"))
            }
        }
    }

    /// Labels at most, which do not touch.
    const fn most_labels(&self) -> usize {
        match self {
            Self::Epochs => 12,
            Self::LearningRates(_) => 8,
        }
    }
}

/// Draws curves as SVG: a metric by epoch or learning rate, one line for each of `curves`, with a band of one standard
/// deviation on both sides, or a bar where a line is a single point. Lines differ in colour, dashes and marks, so that those that
/// coincide can be told apart; the legend stands beside the data. `None` when there is nothing to draw, or it cannot be drawn.
pub fn curves_svg(title: &str, metric: &str, axis: &CurveAxis, curves: &[Curve]) -> Option<String> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let low = points().fold(f64::INFINITY, |m, p| m.min(p.value - p.deviation));
    let high = points().fold(f64::NEG_INFINITY, |m, p| m.max(p.value + p.deviation));
    let last = points().map(|p| p.place).max().unwrap_or(1);
    if !low.is_finite() || !high.is_finite() {
        return None;
    }
    let margin = (0.05 * (high - low)).max(0.005);
    let mut svg = String::new();
    let chart = Chart {
        metric,
        axis,
        curves,
        last,
        range: (low - margin, high + margin),
    };
    chart.draw(&mut svg, title).ok()?;
    Some(svg)
}

struct Chart<'a> {
    metric: &'a str,
    axis: &'a CurveAxis,
    curves: &'a [Curve],
    last: usize,
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

    /// Where a point of a line is. The points of a single place stand side by side.
    fn x(&self, index: usize, point: &CurvePoint) -> f64 {
        match self.last {
            1 => 0.6 + 0.8 * (index as f64 + 0.5) / self.curves.len() as f64,
            _ => point.place as f64,
        }
    }

    fn draw_plot<'a>(&self, area: &Area<'a>) -> Drawn {
        // A single place is in the middle.
        let (first, last) = match self.last {
            1 => (0.5, 1.5),
            last => (1.0, last as f64),
        };
        let mut chart = ChartBuilder::on(area)
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(first..last, self.range.0..self.range.1)?;
        // Places are whole.
        let label = |x: &f64| match (x - x.round()).abs() < 1e-6 {
            true => self.axis.label(x.round() as usize),
            false => String::new(),
        };
        chart
            .configure_mesh()
            .x_desc(self.axis.described())
            .y_desc(self.metric)
            .axis_desc_style(font(&FAINT))
            .label_style(font(&INK))
            .axis_style(OUTLINE)
            .bold_line_style(OUTLINE.mix(0.5))
            .light_line_style(TRANSPARENT)
            .x_label_formatter(&label)
            .y_label_formatter(&|y| format!("{y:.3}"))
            .x_labels(self.last.clamp(2, self.axis.most_labels()))
            .draw()?;
        for (index, curve) in self.curves.iter().enumerate() {
            let edge =
                |side: f64| move |p: &CurvePoint| (self.x(index, p), p.value + side * p.deviation);
            if let [point] = curve.points[..] {
                let ends = [edge(-1.0)(&point), edge(1.0)(&point)];
                let style = COLOURS[index % COLOURS.len()].stroke_width(2);
                chart.draw_series([PathElement::new(ends.to_vec(), style)])?;
            } else if curve.points.iter().any(|p| p.deviation > 0.0) {
                let above = curve.points.iter().map(edge(1.0));
                let below = curve.points.iter().rev().map(edge(-1.0));
                let band: Vec<_> = above.chain(below).collect();
                let fill = COLOURS[index % COLOURS.len()].mix(0.12);
                chart.draw_series([Polygon::new(band, fill.filled())])?;
            }
        }
        for (index, curve) in self.curves.iter().enumerate() {
            let points = curve.points.iter();
            let points: Vec<_> = points.map(|p| (self.x(index, p), p.value)).collect();
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
        let points = [(1, 0.5), (2, 0.75)];
        let points = points.map(|(place, value)| CurvePoint {
            place,
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
        let alone = curves_svg(
            "Tickets",
            "accuracy",
            &CurveAxis::Epochs,
            &[curve("v", 0.0)],
        )
        .unwrap();
        assert!(!alone.contains("<polygon"), "{alone}");
        let both = [curve("v", 0.02), curve("q", 0.02)];
        let svg = curves_svg("Tickets", "accuracy", &CurveAxis::Epochs, &both).unwrap();
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

    /// A comparison of one epoch has no line to draw a band around.
    #[test]
    fn a_single_point_has_a_bar() {
        let mut one = curve("v", 0.1);
        one.points.truncate(1);
        let svg = curves_svg("t", "accuracy", &CurveAxis::Epochs, &[one.clone()]).unwrap();
        let bars = |svg: &str| svg.matches("<polyline").count() + svg.matches("<line").count();
        one.points[0].deviation = 0.0;
        let without = curves_svg("t", "accuracy", &CurveAxis::Epochs, &[one]).unwrap();
        assert!(svg.contains("#0072B2") && bars(&svg) > 0 && svg != without);
    }

    #[test]
    fn learning_rates_are_at_equal_distances() {
        let axis = CurveAxis::LearningRates(vec![1e-4, 4e-3]);
        let svg = curves_svg("t", "accuracy", &axis, &[curve("v", 0.0)]).unwrap();
        for text in ["learning rate (not to scale)", "1e-4", "4e-3"] {
            assert!(svg.contains(&format!("\n{text}\n")), "{text}: {svg}");
        }
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
        assert!(curves_svg("", "", &CurveAxis::Epochs, &[]).is_none());
    }
}
