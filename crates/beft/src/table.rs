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

/// A cell of a table: texts, each with the Markdown in front of it (and mirrored behind it).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell(Vec<(&'static str, String)>);

impl<T: Display> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::default().text(text)
    }
}

/// A text in one line that ends no cell.
fn in_cell(text: &str) -> String {
    let text = text.replace('|', "\\|");
    text.split(['\n', '\r'])
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A text in which nothing is Markdown. What is within a word marks nothing, and stays as it is.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied().unwrap_or(' ');
        match c {
            '<' => out += "&lt;",
            '&' => out += "&amp;",
            '\\' | '`' | '*' | '[' | ']' => out.extend(['\\', c]),
            '_' if !(before.is_alphanumeric() && next.is_alphanumeric()) => out += "\\_",
            c => out.push(c),
        }
        before = c;
    }
    in_cell(&out)
}

/// What a user could type, between as many marks as it takes.
fn code(text: &str) -> String {
    match text.contains('`') {
        true => format!("`` {} ``", in_cell(text)),
        false => format!("`{}`", in_cell(text)),
    }
}

impl Cell {
    /// Adds a text as it is.
    pub fn text(self, text: impl Display) -> Self {
        self.with("", text)
    }

    /// Adds what a user could type.
    pub fn code(self, text: impl Display) -> Self {
        self.with("`", text)
    }

    /// Adds a text in bold.
    pub fn bold(self, text: impl Display) -> Self {
        self.with("**", text)
    }

    /// Adds what a user could type in bold.
    pub fn bold_code(self, text: impl Display) -> Self {
        self.with("**`", text)
    }

    fn with(mut self, mark: &'static str, text: impl Display) -> Self {
        self.0.push((mark, text.to_string()));
        self
    }

    /// The text alone.
    pub fn to_plain(&self) -> String {
        self.0.iter().map(|(_, text)| text.as_str()).collect()
    }

    /// Each text with the Markdown in front of it.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(mark, text)| (*mark, text.as_str()))
    }

    fn to_markdown(&self) -> String {
        let parts = self.0.iter().map(|(mark, text)| match *mark {
            "`" => code(text),
            "**`" => format!("**{}**", code(text)),
            mark => format!("{mark}{}{mark}", escaped(text)),
        });
        parts.collect()
    }
}

/// A table with named columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Name and side of each column.
    pub columns: Vec<(String, Align)>,
    /// As many cells a row as there are columns.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub fn new<N: Into<String>>(columns: impl IntoIterator<Item = (N, Align)>) -> Self {
        let columns = columns
            .into_iter()
            .map(|(name, align)| (name.into(), align));
        Self {
            columns: columns.collect(),
            rows: Vec::new(),
        }
    }

    /// The table in Markdown, a line for each row.
    pub fn to_markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let names = self.columns.iter().map(|(name, _)| escaped(name));
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

/// A picture of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The name of its file, which lies beside the document's.
    pub file: String,
    /// What it shows, in words.
    pub shows: String,
    /// Its content.
    pub svg: String,
    /// The numbers in it, where no table of the document has them.
    pub numbers: Option<Table>,
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
    /// A picture.
    Picture(Picture),
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

    /// Adds pictures.
    pub fn pictures(&mut self, pictures: impl IntoIterator<Item = Picture>) {
        self.blocks.extend(pictures.into_iter().map(Block::Picture));
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
                Block::Picture(picture) => {
                    out += &format!("![{}]({})\n", escaped(&picture.shows), picture.file);
                }
            }
            if index + 1 < self.blocks.len() || !matches!(block, Block::List(_)) {
                out.push('\n');
            }
        }
        out
    }
}
