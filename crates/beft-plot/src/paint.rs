//! What pictures are drawn with: colours, short numbers, text.

use std::io;

use plotters::coord::Shift;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use textwrap::{Options, WordSplitter};

pub(crate) const INK: RGBColor = RGBColor(0x1f, 0x24, 0x2b);
pub(crate) const FAINT: RGBColor = RGBColor(0x6b, 0x72, 0x7c);
pub(crate) const UNDEFINED: RGBColor = RGBColor(0xd4, 0xd4, 0xd4);
pub(crate) const OUTLINE: RGBColor = RGBColor(0xc2, 0xc6, 0xcc);
pub(crate) const ACCENT: RGBColor = RGBColor(0xb4, 0x53, 0x09);

/// From least to most: one blue hue (OKLCH 255 degrees) whose lightness in OKLab falls in equal steps
/// from 0.97 to 0.35, so that equal differences of a score look equal.
const BLUES: [RGBColor; 9] = [
    RGBColor(0xf0, 0xf6, 0xfd),
    RGBColor(0xc1, 0xde, 0xff),
    RGBColor(0x97, 0xc6, 0xff),
    RGBColor(0x71, 0xad, 0xf8),
    RGBColor(0x51, 0x94, 0xe7),
    RGBColor(0x36, 0x7b, 0xd0),
    RGBColor(0x22, 0x64, 0xb2),
    RGBColor(0x15, 0x4f, 0x90),
    RGBColor(0x0f, 0x3a, 0x6c),
];

/// Width of a character in units of the font size, an upper bound for digits in common sans-serif
/// fonts: the viewer picks the font, so nothing can be measured here.
pub(crate) const CHAR_WIDTH: f64 = 0.64;

/// A number in few characters: three significant digits (`.350`, `.0213`, `1.25`), and two with an
/// exponent outside 0.01 to 1000 (`2.1e-3`).
pub(crate) fn short(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    if !(0.009995..999.5).contains(&size) {
        return format!("{value:.1e}");
    }
    // One more for every bound that the rounded number is below.
    let decimals = [99.95, 9.995, 0.9995, 0.09995]
        .iter()
        .filter(|bound| size < **bound)
        .count();
    let text = format!("{value:.decimals$}");
    match (text.strip_prefix("0."), text.strip_prefix("-0.")) {
        (Some(digits), _) => format!(".{digits}"),
        (_, Some(digits)) => format!("-.{digits}"),
        _ => text,
    }
}

/// The beginning of a long name.
pub(crate) fn cut(name: &str, most: usize) -> String {
    let name = wrap(name, f64::MAX).concat();
    match name.chars().count() > most {
        true => name.chars().take(most - 1).chain(['\u{2026}']).collect(),
        false => name,
    }
}

/// Breaks a text between words into lines of at most `length` characters; a longer word gets a line
/// of its own. Characters that XML does not allow become spaces.
pub(crate) fn wrap(text: &str, length: f64) -> Vec<String> {
    let blank =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
    let words: Vec<&str> = text.split(blank).filter(|word| !word.is_empty()).collect();
    let options = Options::new(length as usize)
        .break_words(false)
        .word_splitter(WordSplitter::NoHyphenation);
    textwrap::fill(&words.join(" "), options)
        .lines()
        .map(str::to_owned)
        .collect()
}

/// The colour of a share of the range, 0 to 1, between the two nearest of [`BLUES`].
pub(crate) fn colour(share: f64) -> RGBColor {
    let place = share.clamp(0.0, 1.0) * (BLUES.len() - 1) as f64;
    let low = (place as usize).min(BLUES.len() - 2);
    let (from, to) = (BLUES[low], BLUES[low + 1]);
    let mix = |from: u8, to: u8| {
        let (from, to) = (f64::from(from), f64::from(to));
        (from + (to - from) * (place - low as f64)).round() as u8
    };
    RGBColor(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}

/// Dark or white, whichever reads better on `fill` (by its relative luminance as in WCAG 2).
pub(crate) fn ink_on(fill: RGBColor) -> RGBColor {
    let linear = |channel: u8| (f64::from(channel) / 255.0).powf(2.2);
    let luminance = 0.2126 * linear(fill.0) + 0.7152 * linear(fill.1) + 0.0722 * linear(fill.2);
    if luminance > 0.25 { INK } else { WHITE }
}

pub(crate) type Drawn = Result<(), DrawingAreaErrorKind<io::Error>>;

/// A place in a picture, as its corners, and what a browser shows when the pointer is on it.
pub(crate) struct Hint {
    pub(crate) corners: [(i32, i32); 2],
    pub(crate) text: String,
}

/// Adds hints to a finished picture: plotters knows none.
fn add_hints(svg: &mut String, hints: &[Hint]) {
    let Some(end) = svg.rfind("</svg>") else {
        return;
    };
    svg.truncate(end);
    *svg += "<g fill=\"transparent\">\n";
    for Hint {
        corners: [(x, y), (right, bottom)],
        text,
    } in hints
    {
        let (width, height) = (right - x, bottom - y);
        let text = escaped(text);
        *svg += &format!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"><title>{text}</title></rect>\n"
        );
    }
    *svg += "</g>\n</svg>\n";
}

/// A text that XML allows.
fn escaped(text: &str) -> String {
    let text = wrap(text, f64::MAX).concat();
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A part of a chart.
pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Around a picture, in pixels.
pub(crate) const MARGIN: i32 = 16;
/// A line of a title on a [`Canvas`], in pixels.
pub(crate) const TITLE_ROW: i32 = 20;
const TITLE_SIZE: f64 = 16.0;
pub(crate) const TEXT_SIZE: f64 = 12.0;
/// A line of a chart's title, in pixels.
const TITLE_LINE: u32 = 22;
/// plotters takes a line height and writes a font size of 1/1.24 of it.
const LINE_HEIGHT: f64 = 1.24;

/// How a chart's words look.
pub(crate) fn font(colour: &RGBColor) -> TextStyle<'_> {
    TextStyle::from(("sans-serif", TEXT_SIZE * LINE_HEIGHT).into_font()).color(colour)
}

/// A title in lines that fit a picture of that width.
pub(crate) fn title_lines(title: &str, width: i32) -> Vec<String> {
    let room = f64::from(width - 2 * MARGIN);
    wrap(title, room / (TITLE_SIZE * CHAR_WIDTH))
}

/// The height of a chart's title.
pub(crate) fn title_height(title: &str, width: u32) -> u32 {
    TITLE_LINE * title_lines(title, width as i32).len() as u32 + 12
}

/// Draws a chart's title, and returns what is below it.
pub(crate) fn draw_title<'a>(
    root: &Area<'a>,
    title: &str,
) -> Result<Area<'a>, DrawingAreaErrorKind<io::Error>> {
    let width = root.dim_in_pixel().0;
    let (head, body) = root.split_vertically(title_height(title, width));
    let font = ("sans-serif", TITLE_SIZE * LINE_HEIGHT).into_font();
    let font = font.style(FontStyle::Bold);
    for (row, line) in (0..).zip(title_lines(title, width as i32)) {
        let at = (MARGIN, 10 + TITLE_LINE as i32 * row);
        head.draw(&Text::new(line, at, font.color(&INK)))?;
    }
    Ok(body)
}

/// A finished picture as SVG: a title on white ground, what `draw` adds, and hints.
pub(crate) fn picture(
    title: &[String],
    size: (i32, i32),
    hints: &[Hint],
    draw: impl FnOnce(&Canvas) -> Drawn,
) -> String {
    let mut svg = String::new();
    let canvas = Canvas::new(&mut svg, size);
    let drawn = canvas.title(title, size).and_then(|()| draw(&canvas));
    // Fails for I/O alone, and this writes to a string.
    let _ = drawn.and_then(|()| canvas.finish());
    drop(canvas);
    add_hints(&mut svg, hints);
    svg
}

/// The drawing of a table of colours.
pub(crate) struct Canvas<'a>(Area<'a>);

/// How a text looks, and which end of it lies on its point; always centred in height.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    size: f64,
    colour: RGBColor,
    bold: bool,
    anchor: HPos,
}

impl Style {
    pub(crate) fn new(size: f64, colour: RGBColor) -> Self {
        Self {
            size,
            colour,
            bold: false,
            anchor: HPos::Left,
        }
    }

    pub(crate) fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub(crate) fn colour(self, colour: RGBColor) -> Self {
        Self { colour, ..self }
    }

    pub(crate) fn anchor(self, anchor: HPos) -> Self {
        Self { anchor, ..self }
    }
}

impl<'a> Canvas<'a> {
    /// An empty drawing that is written to `svg` when it is finished.
    fn new(svg: &'a mut String, (width, height): (i32, i32)) -> Self {
        let size = (width.unsigned_abs(), height.unsigned_abs());
        Self(SVGBackend::with_string(svg, size).into_drawing_area())
    }

    fn finish(&self) -> Drawn {
        self.0.present()
    }

    /// White ground with a title.
    fn title(&self, lines: &[String], size: (i32, i32)) -> Drawn {
        self.rectangle([(0, 0), size], WHITE.filled())?;
        for (row, line) in (0..).zip(lines) {
            let at = (MARGIN, MARGIN + 6 + TITLE_ROW * row);
            self.text(line, at, Style::new(TITLE_SIZE, INK).bold())?;
        }
        Ok(())
    }

    pub(crate) fn text(&self, text: &str, at: (i32, i32), style: Style) -> Drawn {
        let font = ("sans-serif", style.size * LINE_HEIGHT).into_font();
        let font = if style.bold {
            font.style(FontStyle::Bold)
        } else {
            font
        };
        let style = TextStyle::from(font)
            .color(&style.colour)
            .pos(Pos::new(style.anchor, VPos::Center));
        self.0.draw(&Text::new(text, at, style))
    }

    pub(crate) fn rectangle(
        &self,
        corners: [(i32, i32); 2],
        style: impl Into<ShapeStyle>,
    ) -> Drawn {
        self.0.draw(&Rectangle::new(corners, style))
    }

    /// A dot.
    pub(crate) fn dot(&self, at: (i32, i32), style: impl Into<ShapeStyle>) -> Drawn {
        self.0.draw(&Circle::new(at, 3, style))
    }

    /// A small arrow head that points right, its left edge at `x`, centred on `y`.
    pub(crate) fn pointer(&self, (x, y): (i32, i32)) -> Drawn {
        let corners = [(x, y - 5), (x, y + 5), (x + 8, y)];
        self.0.draw(&Polygon::new(corners, ACCENT.filled()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.35, ".350"),
            (-0.35, "-.350"),
            (0.02134, ".0213"),
            (0.0021, "2.1e-3"),
            (1.8e-7, "1.8e-7"),
            (0.9996, "1.00"),
            (0.09996, ".100"),
            (0.009999, ".0100"),
            (1.25, "1.25"),
            (12.345, "12.3"),
            (999.0, "999"),
            (1234.0, "1.2e3"),
        ] {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn colours_darken_evenly() {
        let shares = (0..=100).map(|percent| colour(f64::from(percent) / 100.0));
        let greens: Vec<_> = shares.map(|c| c.1).collect();
        assert!(greens.is_sorted_by(|a, b| a > b));
        assert_eq!((ink_on(colour(0.0)), ink_on(colour(1.0))), (INK, WHITE));
    }

    #[test]
    fn long_texts_break_between_words() {
        assert_eq!(wrap("aa bb  cc", 5.0), ["aa bb", "cc"]);
        assert_eq!(wrap("a longest b", 3.0), ["a", "longest", "b"]);
        assert!(wrap(" ", 5.0).is_empty());
    }
}
