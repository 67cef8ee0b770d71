use plotters::style::text_anchor::HPos;
use plotters::style::{Color, RGBColor};

use crate::axis::Axis;
use crate::paint::{
    Canvas, Drawn, FAINT, Hint, INK, MARGIN, OUTLINE, Style, TEXT_SIZE, TITLE_ROW, cut, picture,
    short, title_lines,
};

// Lengths in pixels.
const COLUMNS: usize = 3;
const PLOT: (i32, i32) = (250, 190);
const NUMBERS: i32 = 44;
const HEAD: i32 = 26;
const FOOT: i32 = 44;
/// If there are more points, the three highest alone have their names beside them: more would cover each other.
const NAMED: usize = 12;
/// Characters of a panel's title.
const TITLE: usize = 36;
const FILL: RGBColor = RGBColor(0x22, 0x64, 0xb2);

/// One point of a [`ScatterPanel`].
#[derive(Clone, Debug, Default)]
pub struct ScatterPoint {
    /// What it is of.
    pub name: String,
    /// Its place from left to right.
    pub x: f64,
    /// Its height.
    pub y: f64,
    /// What is shown where the pointer is on it.
    pub hint: String,
}

/// One chart of a picture.
#[derive(Clone, Debug)]
pub struct ScatterPanel {
    /// What stands above it.
    pub title: String,
    /// Its points.
    pub points: Vec<ScatterPoint>,
}

/// Draws panels of points as SVG, three beside each other, all with the same heights. `None` when there is no point.
pub fn scatter_svg(title: &str, across: &str, panels: &[ScatterPanel]) -> Option<String> {
    let points = || panels.iter().flat_map(|panel| &panel.points);
    let range = |of: fn(&ScatterPoint) -> f64| {
        let values = points().map(of).filter(|value| value.is_finite());
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
            (low.min(x), high.max(x))
        })
    };
    let (left, right) = range(|point| point.x);
    let (low, high) = range(|point| point.y);
    if !(low.is_finite() && left.is_finite()) {
        return None;
    }
    let columns = panels.len().min(COLUMNS) as i32;
    let width = 2 * MARGIN + columns * (NUMBERS + PLOT.0 + MARGIN);
    let title = title_lines(title, width);
    let figure = Figure {
        panels,
        x: (left, right.max(left + 1e-9)),
        y: Axis::of(low, high),
        top: MARGIN + TITLE_ROW * title.len() as i32,
        across,
    };
    let rows = panels.len().div_ceil(COLUMNS) as i32;
    let size = (width, figure.top + rows * (HEAD + PLOT.1 + FOOT));
    Some(picture(&title, size, &figure.hints(), |canvas| {
        figure.draw(canvas)
    }))
}

struct Figure<'a> {
    panels: &'a [ScatterPanel],
    x: (f64, f64),
    y: Axis,
    top: i32,
    across: &'a str,
}

impl Figure<'_> {
    /// The upper left corner of a panel's plot.
    fn corner(&self, panel: usize) -> (i32, i32) {
        let (row, column) = ((panel / COLUMNS) as i32, (panel % COLUMNS) as i32);
        (
            MARGIN + NUMBERS + column * (NUMBERS + PLOT.0 + MARGIN),
            self.top + HEAD + row * (HEAD + PLOT.1 + FOOT),
        )
    }

    fn at(&self, (left, top): (i32, i32), x: f64, y: f64) -> (i32, i32) {
        let across = (x - self.x.0) / (self.x.1 - self.x.0);
        // Points on the edges stay inside.
        let room = f64::from(PLOT.0) - 24.0;
        (
            left + 12 + (across * room).round() as i32,
            top + PLOT.1 - (self.y.share(y) * f64::from(PLOT.1)).round() as i32,
        )
    }

    fn draw(&self, canvas: &Canvas) -> Drawn {
        for (index, panel) in self.panels.iter().enumerate() {
            self.draw_panel(canvas, panel, self.corner(index))?;
        }
        Ok(())
    }

    fn draw_panel(&self, canvas: &Canvas, panel: &ScatterPanel, corner: (i32, i32)) -> Drawn {
        let (left, top) = corner;
        let middle = left + PLOT.0 / 2;
        let heading = Style::new(TEXT_SIZE, INK).bold().anchor(HPos::Center);
        canvas.text(&cut(&panel.title, TITLE), (middle, top - 12), heading)?;
        let label = Style::new(TEXT_SIZE, FAINT);
        for value in self.y.labels() {
            let (_, y) = self.at(corner, self.x.0, value);
            canvas.rectangle([(left, y), (left + PLOT.0, y + 1)], OUTLINE.filled())?;
            canvas.text(&short(value), (left - 6, y), label.anchor(HPos::Right))?;
        }
        let below = (middle, top + PLOT.1 + 14);
        canvas.text(self.across, below, label.anchor(HPos::Center))?;
        let mut by_height: Vec<&ScatterPoint> = panel.points.iter().collect();
        by_height.sort_by(|a, b| b.y.total_cmp(&a.y));
        let highest: Vec<&String> = by_height.iter().take(3).map(|point| &point.name).collect();
        for point in panel.points.iter().filter(|point| is_drawn(point)) {
            let (x, y) = self.at(corner, point.x, point.y);
            canvas.dot((x, y), FILL.mix(0.75).filled())?;
            if panel.points.len() <= NAMED || highest.contains(&&point.name) {
                // At the right edge below the point, where no neighbour's name is.
                let (at, anchor) = match x > left + PLOT.0 - 40 {
                    true => ((x + 4, y + 11), HPos::Right),
                    false => ((x + 6, y - 7), HPos::Left),
                };
                let style = Style::new(TEXT_SIZE, INK).anchor(anchor);
                canvas.text(&cut(&point.name, 8), at, style)?;
            }
        }
        Ok(())
    }

    fn hints(&self) -> Vec<Hint> {
        let panels = self.panels.iter().enumerate();
        let hints = panels.flat_map(|(index, panel)| {
            let drawn = panel.points.iter().filter(|point| is_drawn(point));
            drawn.map(move |point| {
                let (x, y) = self.at(self.corner(index), point.x, point.y);
                Hint {
                    corners: [(x - 5, y - 5), (x + 5, y + 5)],
                    text: format!("{}: {}", point.name, point.hint),
                }
            })
        });
        hints.collect()
    }
}

fn is_drawn(point: &ScatterPoint) -> bool {
    point.x.is_finite() && point.y.is_finite()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(name: &str, x: f64, y: f64) -> ScatterPoint {
        ScatterPoint {
            name: name.to_owned(),
            x,
            y,
            hint: format!("{y}"),
        }
    }

    #[test]
    fn points_have_names_and_hints() {
        let panel = |title: &str, points| ScatterPanel {
            title: title.to_owned(),
            points,
        };
        let few = panel("beft", vec![point("v<", 1.0, 0.7), point("q", 2.0, 0.5)]);
        let many =
            (0..20).map(|i| point(&format!("v@{i}"), f64::from(i), 0.6 - f64::from(i) / 100.0));
        let panels = [few, panel("fisher", many.collect())];
        let svg = scatter_svg("Scores", "rank", &panels).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert_eq!(svg.matches("<circle").count(), 22);
        assert!(svg.contains("<title>v&lt;: 0.7</title>") && svg.contains("\nq\n"));
        // Many names would cover each other.
        assert!(
            svg.contains("<title>v@0: 0.6</title>")
                && svg.contains("\nv@2\n")
                && !svg.contains("\nv@3\n")
        );
    }

    #[test]
    fn nothing_and_one_point_are_no_trouble() {
        let panel = |points| ScatterPanel {
            title: String::new(),
            points,
        };
        assert!(scatter_svg("", "", &[]).is_none());
        assert!(scatter_svg("", "", &[panel(vec![point("a", f64::NAN, 1.0)])]).is_none());
        let one = scatter_svg("", "", &[panel(vec![point("a", 3.0, 0.5)])]).unwrap();
        assert_eq!(one.matches("<circle").count(), 1);
    }
}
