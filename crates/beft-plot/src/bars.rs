use plotters::style::text_anchor::HPos;
use plotters::style::{Color, RGBColor, WHITE};

use crate::axis::Axis;
use crate::paint::{
    ACCENT, CHAR_WIDTH, Canvas, Drawn, FAINT, Hint, INK, MARGIN, OUTLINE, Style, TEXT_SIZE,
    TITLE_ROW, cut, picture, short, title_lines,
};

// Lengths in pixels.
const ROW: i32 = 28;
const THICK: i32 = 16;
const PLOT: i32 = 420;
const VALUES: i32 = 64;
const AXIS: i32 = 40;
/// Characters of a name.
const NAME: usize = 28;
const FILL: RGBColor = RGBColor(0x71, 0xad, 0xf8);

/// One bar.
#[derive(Clone, Debug, Default)]
pub struct Bar {
    /// What it is of.
    pub name: String,
    /// How long it is.
    pub value: f64,
    /// The ends of its interval.
    pub interval: Option<(f64, f64)>,
    /// Single values behind it, such as those of the seeds; one alone is not drawn.
    pub points: Vec<f64>,
    /// Whether it is the one that was picked.
    pub marked: bool,
}

/// Draws horizontal bars as SVG, in the order given, each with its value, its interval and the single values behind it.
/// Bars begin at zero. Bars whose value is no number are left out; `None` when none is left.
pub fn bars_svg(title: &str, axis: &str, bars: &[Bar]) -> Option<String> {
    let bars: Vec<&Bar> = bars.iter().filter(|bar| bar.value.is_finite()).collect();
    if bars.is_empty() {
        return None;
    }
    let longest = bars.iter().map(|bar| cut(&bar.name, NAME).chars().count());
    let labels = (longest.max().unwrap_or(0) as f64 * TEXT_SIZE * CHAR_WIDTH) as i32 + 16;
    let width = 2 * MARGIN + labels + PLOT + VALUES;
    let title = title_lines(title, width);
    let ends = bars
        .iter()
        .flat_map(|bar| ends(bar))
        .filter(|x| x.is_finite());
    let (low, high) = ends.fold((0.0f64, 0.0f64), |(low, high), x| (low.min(x), high.max(x)));
    let figure = Figure {
        left: MARGIN + labels,
        top: MARGIN + TITLE_ROW * title.len() as i32 + 8,
        scale: Axis::of(low, high),
        bars,
        axis,
    };
    let size = (width, figure.bottom() + AXIS);
    Some(picture(&title, size, &figure.hints(), |canvas| {
        figure.draw(canvas)
    }))
}

/// All that must be in the picture.
fn ends(bar: &Bar) -> Vec<f64> {
    let interval = bar.interval.into_iter().flat_map(|(low, high)| [low, high]);
    let points = bar.points.iter().copied();
    [bar.value]
        .into_iter()
        .chain(interval)
        .chain(points)
        .collect()
}

struct Figure<'a> {
    bars: Vec<&'a Bar>,
    axis: &'a str,
    left: i32,
    top: i32,
    scale: Axis,
}

impl Figure<'_> {
    fn bottom(&self) -> i32 {
        self.top + ROW * self.bars.len() as i32
    }

    fn x(&self, value: f64) -> i32 {
        self.left + (self.scale.share(value) * f64::from(PLOT)).round() as i32
    }

    fn draw(&self, canvas: &Canvas) -> Drawn {
        self.draw_axis(canvas)?;
        for (row, bar) in (0..).zip(&self.bars) {
            self.draw_bar(canvas, bar, self.top + ROW * row + ROW / 2)?;
        }
        Ok(())
    }

    fn draw_axis(&self, canvas: &Canvas) -> Drawn {
        let label = Style::new(TEXT_SIZE, FAINT).anchor(HPos::Center);
        for value in self.scale.labels() {
            let x = self.x(value);
            canvas.rectangle([(x, self.top), (x + 1, self.bottom())], OUTLINE.filled())?;
            canvas.text(&short(value), (x, self.bottom() + 10), label)?;
        }
        let middle = (self.left + PLOT / 2, self.bottom() + 28);
        canvas.text(self.axis, middle, label)
    }

    fn draw_bar(&self, canvas: &Canvas, bar: &Bar, y: i32) -> Drawn {
        let (ink, fill) = match bar.marked {
            true => (ACCENT, ACCENT.mix(0.75)),
            false => (INK, FILL.mix(1.0)),
        };
        let mut name = Style::new(TEXT_SIZE, ink).anchor(HPos::Right);
        if bar.marked {
            name = name.bold();
        }
        canvas.text(&cut(&bar.name, NAME), (self.left - 8, y), name)?;
        let (from, to) = (self.x(0.0), self.x(bar.value));
        let corners = [(from.min(to), y - THICK / 2), (from.max(to), y + THICK / 2)];
        canvas.rectangle(corners, fill.filled())?;
        if let Some((low, high)) = bar.interval {
            let (low, high) = (self.x(low), self.x(high));
            canvas.rectangle([(low, y - 1), (high + 1, y + 1)], INK.filled())?;
            for x in [low, high] {
                canvas.rectangle([(x, y - 5), (x + 1, y + 5)], INK.filled())?;
            }
        }
        if bar.points.len() > 1 {
            for point in bar.points.iter().filter(|point| point.is_finite()) {
                let at = (self.x(*point), y);
                canvas.dot(at, WHITE.filled())?;
                canvas.dot(at, INK.stroke_width(1))?;
            }
        }
        let number = match bar.value.abs() < 0.0005 {
            true => short(bar.value),
            false => format!("{:.3}", bar.value),
        };
        let at = (self.left + PLOT + 10, y);
        canvas.text(&number, at, Style::new(TEXT_SIZE, ink))
    }

    fn hints(&self) -> Vec<Hint> {
        let hint = |(row, bar): (i32, &&Bar)| {
            let y = self.top + ROW * row;
            let interval = bar.interval.map(|(low, high)| format!(", {low} to {high}"));
            Hint {
                corners: [(MARGIN, y), (self.left + PLOT + VALUES, y + ROW)],
                text: format!(
                    "{}: {}{}",
                    bar.name,
                    bar.value,
                    interval.unwrap_or_default()
                ),
            }
        };
        (0..).zip(&self.bars).map(hint).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(name: &str, value: f64) -> Bar {
        Bar {
            name: name.to_owned(),
            value,
            ..Bar::default()
        }
    }

    #[test]
    fn bars_have_names_values_and_intervals() {
        let picked = Bar {
            interval: Some((0.7, 0.8)),
            points: vec![0.71, 0.79],
            marked: true,
            ..bar("v", 0.75)
        };
        let bars = [picked, bar("q<", 0.5), bar("broken", f64::NAN)];
        let svg = bars_svg("Modes", "accuracy", &bars).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains("<title>v: 0.75, 0.7 to 0.8</title>"));
        assert!(svg.contains("<title>q&lt;: 0.5</title>") && !svg.contains("broken"));
        // Two seeds, each a white dot with a line around it.
        assert_eq!(svg.matches("<circle").count(), 4);
        assert!(svg.contains("\n0.750\n") && svg.contains("\naccuracy\n"));
        assert!(bars_svg("", "", &[bar("broken", f64::NAN)]).is_none());
    }

    #[test]
    fn bars_of_negative_values_begin_at_zero_too() {
        let svg = bars_svg("Correlations", "mcc", &[bar("a", -0.2), bar("b", 0.4)]).unwrap();
        for label in ["-.200", "0", ".400"] {
            assert!(svg.contains(&format!("\n{label}\n")), "{label}: {svg}");
        }
    }
}
