use beft_core::{BiasSite, BiasTerm};
use beft_score::{Cell, ScorerKind, Scores};
use plotters::style::text_anchor::HPos;
use plotters::style::{Color, RGBColor};

use crate::paint::{
    ACCENT, CHAR_WIDTH, Canvas, Drawn, FAINT, Hint, INK, MARGIN, OUTLINE, Style, TEXT_SIZE,
    TITLE_ROW, UNDEFINED, colour, ink_on, picture, short, title_lines, wrap,
};

// Lengths in pixels.
const ROW_LABELS: i32 = 44;
const MEAN_GAP: i32 = 10;
const BAR_GAP: i32 = 24;
const BAR_WIDTH: i32 = 14;
const BAR_LABELS: i32 = 52;
const HEADER: i32 = 40;
const LINE: i32 = 18;

/// A heatmap of importance scores as a self-contained SVG: terms down the side, layers across, the
/// mean of each term in a column of its own at the right.
///
/// Colours run from 0 (or the smallest score, if that is negative) to the largest score. Grey cells
/// with a dash have no score, empty ones were not scored; an asterisk refers to the notes under the
/// plot. The recommended term of q, k and v is marked. The same scores give the same text, and the
/// white background is part of the picture. A browser shows the exact value of the cell under the pointer.
pub fn heatmap_svg(scores: &Scores, title: &str) -> String {
    let rows = scores.means().into_iter().map(|(term, mean)| Row {
        name: term.to_string(),
        mean,
        cells: cells(scores, term),
        marked: recommended(scores) == Some(term),
    });
    draw(Figure::new(scores, rows.collect(), title, footer(scores)))
}

/// The same of the parts of one term's biases that attention heads have: heads down the side. `heads` has the scores of each
/// head; heads of which nothing was scored are left out.
pub fn heads_heatmap_svg(heads: &[Scores], term: BiasTerm, title: &str) -> String {
    let scored = heads
        .iter()
        .enumerate()
        .filter(|(_, scores)| scores.has(term));
    let rows = scored.map(|(head, scores)| Row {
        name: format!("{term} h{head}"),
        mean: scores.term_mean(term),
        cells: cells(scores, term),
        marked: false,
    });
    let empty = Scores::from_values("", []);
    let first = heads.first().unwrap_or(&empty);
    draw(Figure::new(first, rows.collect(), title, Vec::new()))
}

/// The score of each layer; `None` where it was not scored.
fn cells(scores: &Scores, term: BiasTerm) -> Vec<Option<Cell>> {
    let layers = 0..scores.layers();
    let sites = layers.map(|layer| BiasSite::new(layer, term));
    sites
        .map(|site| scores.cells().get(&site).copied())
        .collect()
}

fn draw(figure: Figure<'_>) -> String {
    let draw = |canvas: &Canvas<'_>| figure.draw(canvas);
    picture(&figure.title, figure.size(), &figure.hints(), draw)
}

/// A row of cells.
struct Row {
    name: String,
    mean: Option<f64>,
    /// By layer.
    cells: Vec<Option<Cell>>,
    marked: bool,
}

/// What to draw, and where.
struct Figure<'a> {
    scorer: &'a str,
    layers: usize,
    rows: Vec<Row>,
    range: (f64, f64),
    cell: (i32, i32),
    title: Vec<String>,
    /// Lines and their colours.
    footer: Vec<(String, RGBColor)>,
}

impl<'a> Figure<'a> {
    fn new(
        scores: &'a Scores,
        rows: Vec<Row>,
        title: &str,
        footer: Vec<(String, RGBColor)>,
    ) -> Self {
        let cells = rows.iter().flat_map(|row| &row.cells).flatten();
        let values = cells.filter_map(|cell| cell.value);
        let range = values.fold((0.0, 0.0), |(lo, hi): (f64, f64), x| (lo.min(x), hi.max(x)));
        let cell = match scores.layers() {
            0..=12 => (48, 32),
            13..=24 => (40, 30),
            _ => (34, 28),
        };
        let mut figure = Self {
            scorer: scores.scorer(),
            layers: scores.layers(),
            rows,
            range,
            cell,
            title: Vec::new(),
            footer: Vec::new(),
        };
        let width = f64::from(figure.size().0 - 2 * MARGIN);
        figure.title = title_lines(title, figure.size().0);
        for (text, colour) in footer {
            let lines = wrap(&text, width / (TEXT_SIZE * CHAR_WIDTH));
            figure
                .footer
                .extend(lines.into_iter().map(|line| (line, colour)));
        }
        figure
    }

    fn size(&self) -> (i32, i32) {
        let width = self.mean_x() + self.cell.0 + BAR_GAP + BAR_WIDTH + BAR_LABELS + MARGIN;
        let height = self.bottom() + LINE + LINE * self.footer.len() as i32 + MARGIN / 2;
        // Room for the texts of a model of few layers.
        (width.max(440), height)
    }

    fn layers_end(&self) -> i32 {
        MARGIN + ROW_LABELS + self.cell.0 * self.layers as i32
    }

    fn mean_x(&self) -> i32 {
        self.layers_end() + MEAN_GAP
    }

    /// The upper edge of the cells.
    fn top(&self) -> i32 {
        MARGIN + TITLE_ROW * self.title.len() as i32 + HEADER
    }

    fn bottom(&self) -> i32 {
        self.top() + self.cell.1 * self.rows.len() as i32
    }

    fn draw(&self, canvas: &Canvas) -> Drawn {
        self.draw_columns(canvas)?;
        for (place, row) in (0..).zip(&self.rows) {
            self.draw_row(canvas, self.top() + self.cell.1 * place, row)?;
        }
        self.draw_colour_bar(canvas)?;
        for (row, (line, colour)) in (0..).zip(&self.footer) {
            let at = (MARGIN, self.bottom() + LINE + 4 + LINE * row);
            canvas.text(line, at, Style::new(TEXT_SIZE, *colour))?;
        }
        Ok(())
    }

    fn draw_columns(&self, canvas: &Canvas) -> Drawn {
        let (left, y) = (MARGIN + ROW_LABELS, self.top() - 10);
        let label = Style::new(TEXT_SIZE, INK).anchor(HPos::Center);
        for layer in 0..self.layers {
            let x = left + self.cell.0 * layer as i32 + self.cell.0 / 2;
            canvas.text(&layer.to_string(), (x, y), label)?;
        }
        let middle = (left + self.layers_end()) / 2;
        let axis = Style::new(TEXT_SIZE, FAINT).anchor(HPos::Center);
        canvas.text("layer", (middle, y - LINE), axis)?;
        let mean = (self.mean_x() + self.cell.0 / 2, y);
        canvas.text("mean", mean, label.bold())
    }

    fn draw_row(&self, canvas: &Canvas, y: i32, row: &Row) -> Drawn {
        let (left, middle) = (MARGIN + ROW_LABELS, y + self.cell.1 / 2);
        let mut label = Style::new(TEXT_SIZE + 1.0, INK).anchor(HPos::Right);
        if row.marked {
            label = label.bold().colour(ACCENT);
            canvas.pointer((MARGIN, middle))?;
        }
        canvas.text(&row.name, (left - 8, middle), label)?;
        for (layer, cell) in (0..).zip(&row.cells) {
            self.draw_cell(canvas, (left + self.cell.0 * layer, y), *cell)?;
        }
        let mean = Cell {
            value: row.mean,
            note: None,
        };
        self.draw_cell(canvas, (self.mean_x(), y), Some(mean))
    }

    fn draw_cell(&self, canvas: &Canvas, (x, y): (i32, i32), cell: Option<Cell>) -> Drawn {
        // One pixel of background between cells.
        let (width, height) = (self.cell.0 - 1, self.cell.1 - 1);
        let corners = [(x, y), (x + width, y + height)];
        let Some(cell) = cell else {
            return canvas.rectangle(corners, OUTLINE.stroke_width(1));
        };
        let (fill, label) = match cell.value {
            Some(value) => (colour(self.share(value)), short(value)),
            None => (UNDEFINED, "–".to_owned()),
        };
        canvas.rectangle(corners, fill.filled())?;
        let ink = ink_on(fill);
        let fitting = f64::from(width - 4) / (label.chars().count() as f64 * CHAR_WIDTH);
        let size = fitting.min(if self.cell.0 < 40 { 10.0 } else { 11.0 });
        let centre = (x + width / 2, y + height / 2 + 1);
        canvas.text(&label, centre, Style::new(size, ink).anchor(HPos::Center))?;
        if cell.note.is_some() {
            let corner = (x + width - 2, y + 9);
            canvas.text("*", corner, Style::new(11.0, ink).anchor(HPos::Right))?;
        }
        Ok(())
    }

    /// The exact values.
    fn hints(&self) -> Vec<Hint> {
        let mut hints = Vec::new();
        for (place, row) in (0..).zip(&self.rows) {
            let y = self.top() + self.cell.1 * place;
            let hint = |x: i32, text: String| Hint {
                corners: [(x, y), (x + self.cell.0, y + self.cell.1)],
                text,
            };
            let name = &row.name;
            for (layer, cell) in (0..).zip(&row.cells) {
                let x = MARGIN + ROW_LABELS + self.cell.0 * layer;
                let value = match cell {
                    Some(Cell { value: Some(v), .. }) => v.to_string(),
                    Some(_) => "no score".to_owned(),
                    None => "not scored".to_owned(),
                };
                hints.push(hint(x, format!("{name}, layer {layer}: {value}")));
            }
            let mean = row
                .mean
                .map_or("no score".to_owned(), |mean| mean.to_string());
            hints.push(hint(self.mean_x(), format!("{name}, mean: {mean}")));
        }
        hints
    }

    fn draw_colour_bar(&self, canvas: &Canvas) -> Drawn {
        let (lo, hi) = self.range;
        let x = self.mean_x() + self.cell.0 + BAR_GAP;
        let (top, bottom) = (self.top(), self.bottom() - 1);
        let name = Style::new(TEXT_SIZE, FAINT);
        canvas.text(self.scorer, (x, top - 10 - LINE), name)?;
        for y in top..bottom {
            let share = f64::from(bottom - y) / f64::from(bottom - top);
            // Down to the end, under the following ones: no seams when the picture is scaled.
            let rest = [(x, y), (x + BAR_WIDTH, bottom)];
            canvas.rectangle(rest, colour(share).filled())?;
        }
        canvas.rectangle([(x, top), (x + BAR_WIDTH, bottom)], OUTLINE.stroke_width(1))?;
        let steps = match bottom - top {
            _ if hi <= lo => 0,
            ..100 => 1,
            _ => 4,
        };
        for step in 0..=steps {
            let share = f64::from(step) / f64::from(steps.max(1));
            let y = bottom - (f64::from(bottom - top) * share).round() as i32;
            let right = x + BAR_WIDTH;
            canvas.rectangle([(right, y), (right + 4, y + 1)], FAINT.filled())?;
            let label = short(lo + (hi - lo) * share);
            canvas.text(&label, (right + 7, y), Style::new(11.0, INK))?;
        }
        Ok(())
    }

    /// Where a value lies between the ends of the colour bar, 0 to 1.
    fn share(&self, value: f64) -> f64 {
        let (lo, hi) = self.range;
        if hi > lo {
            (value - lo) / (hi - lo)
        } else {
            0.0
        }
    }
}

/// The recommended term; chance recommends none.
fn recommended(scores: &Scores) -> Option<BiasTerm> {
    let chance = scores.scorer() == ScorerKind::Random.name();
    scores.recommended().filter(|_| !chance)
}

/// The recommendation, and the notes with their sites.
fn footer(scores: &Scores) -> Vec<(String, RGBColor)> {
    let mut lines = Vec::new();
    if let Some(term) = recommended(scores) {
        let mean = scores.term_mean(term).map(short).unwrap_or_default();
        let text = format!("recommended: {term}, the highest mean of q, k and v ({mean})");
        lines.push((text, ACCENT));
    }
    let notes = scores.notes_in_words().into_iter();
    lines.extend(notes.map(|note| (format!("* {note}"), INK)));
    lines
}
