//! Reports as data, which a file holds in Markdown and a terminal shows in its own way.

use std::fmt::Display;

/// The side that the cells of a column are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// One number in each cell.
    Right,
    /// Several numbers in each cell. A terminal has them on the right, Markdown where it likes.
    Numbers,
}

/// How a part of a cell stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Plain,
    Code,
    Bold,
    BoldCode,
}

/// A cell of a table: texts, each with its style.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell(Vec<(Style, String)>);

impl<T: Display> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::default().text(text)
    }
}

impl Cell {
    /// Adds a text as it is.
    pub fn text(self, text: impl Display) -> Self {
        self.with(Style::Plain, text)
    }

    /// Adds what a user could type.
    pub fn code(self, text: impl Display) -> Self {
        self.with(Style::Code, text)
    }

    /// Adds a text in bold.
    pub fn bold(self, text: impl Display) -> Self {
        self.with(Style::Bold, text)
    }

    /// Adds what a user could type in bold.
    pub fn bold_code(self, text: impl Display) -> Self {
        self.with(Style::BoldCode, text)
    }

    fn with(mut self, style: Style, text: impl Display) -> Self {
        self.0.push((style, text.to_string()));
        self
    }

    /// The text alone.
    pub fn to_plain(&self) -> String {
        self.0.iter().map(|(_, text)| text.as_str()).collect()
    }

    fn to_markdown(&self) -> String {
        let parts = self.0.iter().map(|(style, text)| match style {
            Style::Plain => text.clone(),
            Style::Code => format!("`{text}`"),
            Style::Bold => format!("**{text}**"),
            Style::BoldCode => format!("**`{text}`**"),
        });
        parts.collect()
    }
}

/// A table with named columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Name and side of each column.
    pub columns: Vec<(String, Align)>,
    /// As many cells a row as there are columns.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Adds a column on the right.
    pub fn column(mut self, name: impl Into<String>, align: Align) -> Self {
        self.columns.push((name.into(), align));
        self
    }

    /// The table in Markdown, a line for each row.
    pub fn to_markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let names = self.columns.iter().map(|(name, _)| name.clone());
        let rules = self.columns.iter().map(|(_, align)| match align {
            Align::Right => "---:|",
            Align::Left | Align::Numbers => "---|",
        });
        let rows = self.rows.iter();
        let rows = rows.map(|row| line(row.iter().map(Cell::to_markdown).collect()));
        let rule = format!("|{}\n", rules.collect::<String>());
        [line(names.collect()), rule]
            .into_iter()
            .chain(rows)
            .collect()
    }
}

/// A part of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A title of the document (level 1) or of a part of it.
    Heading(usize, String),
    /// A paragraph in Markdown.
    Paragraph(String),
    /// A table.
    Table(Table),
    /// Items in Markdown.
    List(Vec<String>),
}

/// A text with tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// Its parts from top to bottom.
    pub blocks: Vec<Block>,
}

impl Document {
    /// Adds a heading.
    pub fn heading(&mut self, level: usize, text: impl Into<String>) {
        self.blocks.push(Block::Heading(level, text.into()));
    }

    /// Adds a paragraph.
    pub fn paragraph(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Paragraph(text.into()));
    }

    /// Adds a table.
    pub fn table(&mut self, table: Table) {
        self.blocks.push(Block::Table(table));
    }

    /// Adds a list, if there is anything to list.
    pub fn list<T: Into<String>>(&mut self, items: impl IntoIterator<Item = T>) {
        let items: Vec<String> = items.into_iter().map(Into::into).collect();
        if !items.is_empty() {
            self.blocks.push(Block::List(items));
        }
    }

    /// The document in Markdown. An empty line follows every block but a list at the end.
    pub fn to_markdown(&self) -> String {
        let mut out = String::new();
        for (index, block) in self.blocks.iter().enumerate() {
            match block {
                Block::Heading(level, text) => out += &format!("{} {text}\n", "#".repeat(*level)),
                Block::Paragraph(text) => out += &format!("{text}\n"),
                Block::Table(table) => out += &table.to_markdown(),
                Block::List(items) => items.iter().for_each(|item| out += &format!("- {item}\n")),
            }
            if index + 1 < self.blocks.len() || !matches!(block, Block::List(_)) {
                out.push('\n');
            }
        }
        out
    }
}
