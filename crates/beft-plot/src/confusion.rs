use plotters::style::Color;
use plotters::style::text_anchor::HPos;

use crate::paint::{
    CHAR_WIDTH, Canvas, Drawn, FAINT, Hint, INK, MARGIN, Style, TEXT_SIZE, TITLE_ROW, colour, cut,
    ink_on, picture, title_lines,
};

// Lengths in pixels.
const CELL: (i32, i32) = (72, 30);
const LINE: i32 = 20;
/// Characters of a class's name beside a row, and above a column.
const NAME: usize = 24;
const SHORT: usize = 9;

/// A confusion matrix as SVG: true classes down the side, predicted ones across, coloured by the share of the true
/// class. `counts` has as many rows and columns as there are `names`.
pub fn confusion_svg(names: &[String], counts: &[Vec<usize>], title: &str) -> String {
    let longest = names
        .iter()
        .map(|name| cut(name, NAME).chars().count())
        .max();
    let labels = (longest.unwrap_or(0) as f64 * TEXT_SIZE * CHAR_WIDTH) as i32 + 12;
    let width = 2 * MARGIN + labels + CELL.0 * names.len() as i32;
    let width = width.max(320);
    let title = title_lines(title, width);
    let figure = Figure {
        names,
        counts,
        left: MARGIN + labels,
        top: MARGIN + TITLE_ROW * title.len() as i32 + 2 * LINE,
    };
    let height = figure.top + CELL.1 * names.len() as i32 + MARGIN;
    let draw = |canvas: &Canvas<'_>| figure.draw(canvas);
    picture(&title, (width, height), &figure.hints(), draw)
}

struct Figure<'a> {
    names: &'a [String],
    counts: &'a [Vec<usize>],
    left: i32,
    top: i32,
}

impl Figure<'_> {
    fn draw(&self, canvas: &Canvas) -> Drawn {
        let faint = Style::new(TEXT_SIZE, FAINT);
        canvas.text("predicted", (self.left, self.top - 28), faint)?;
        canvas.text("true", (MARGIN, self.top - 10), faint)?;
        let centred = Style::new(TEXT_SIZE, INK).anchor(HPos::Center);
        for (column, name) in (0..).zip(self.names) {
            let x = self.left + CELL.0 * column + CELL.0 / 2;
            canvas.text(&cut(name, SHORT), (x, self.top - 10), centred)?;
        }
        for (row, (name, counts)) in (0..).zip(self.names.iter().zip(self.counts)) {
            let y = self.top + CELL.1 * row;
            let label = Style::new(TEXT_SIZE, INK).anchor(HPos::Right);
            canvas.text(&cut(name, NAME), (self.left - 8, y + CELL.1 / 2), label)?;
            let all: usize = counts.iter().sum();
            for (column, count) in (0..).zip(counts) {
                let x = self.left + CELL.0 * column;
                let fill = colour(*count as f64 / all.max(1) as f64);
                let corners = [(x, y), (x + CELL.0 - 1, y + CELL.1 - 1)];
                canvas.rectangle(corners, fill.filled())?;
                let style = Style::new(TEXT_SIZE, ink_on(fill)).anchor(HPos::Center);
                let centre = (x + CELL.0 / 2, y + CELL.1 / 2 + 1);
                canvas.text(&count.to_string(), centre, style)?;
            }
        }
        Ok(())
    }

    fn hints(&self) -> Vec<Hint> {
        let mut hints = Vec::new();
        for (row, (name, counts)) in (0..).zip(self.names.iter().zip(self.counts)) {
            for (column, (said, count)) in (0..).zip(self.names.iter().zip(counts)) {
                let (x, y) = (self.left + CELL.0 * column, self.top + CELL.1 * row);
                hints.push(Hint {
                    corners: [(x, y), (x + CELL.0, y + CELL.1)],
                    text: format!("{count} of {name}, predicted {said}"),
                });
            }
        }
        hints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_is_there() {
        let names = ["no", "a very long name of a class <&>"].map(str::to_owned);
        let svg = confusion_svg(&names, &[vec![17, 3], vec![0, 0]], "Tickets");
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for text in [
            "17",
            "3",
            "predicted",
            "Tickets",
            "a very long name of a c\u{2026}",
        ] {
            assert!(svg.contains(&format!("\n{text}\n")), "{text}: {svg}");
        }
        let hint = "<title>3 of no, predicted a very long name of a class &lt;&amp;&gt;</title>";
        assert!(svg.contains(hint), "{svg}");
    }
}
