//! Tables of reports for LaTeX papers.

use crate::table::{Align, Block, Cell, Document, Table};

/// Rows that fit on a page; a table with more goes on over several.
const ROWS_OF_PAGE: usize = 40;

impl Document {
    /// The tables of the document for LaTeX, each with the heading above it as its caption. They take the package
    /// `booktabs`, and those that are longer than a page `longtable`.
    pub fn to_latex(&self) -> String {
        let long = |block: &Block| matches!(block, Block::Table(table) if table.is_long());
        let packages = match self.blocks.iter().any(long) {
            true => "booktabs,longtable",
            false => "booktabs",
        };
        let mut out = format!("% Needs \\usepackage{{{packages}}}.\n");
        let mut caption = String::new();
        for block in &self.blocks {
            match block {
                Block::Heading(_, text) => caption = text.replace('`', ""),
                Block::Table(table) => out += &format!("\n{}", table.to_latex(&caption)),
                Block::Paragraph(_) | Block::List(_) | Block::Picture(_) => {}
            }
        }
        out
    }
}

impl Table {
    fn is_long(&self) -> bool {
        self.rows.len() > ROWS_OF_PAGE
    }

    /// The table for LaTeX.
    pub fn to_latex(&self, caption: &str) -> String {
        let sides = self.columns.iter().map(|(_, align)| match align {
            Align::Left => 'l',
            Align::Right | Align::Numbers => 'r',
        });
        let names: Vec<String> = self.columns.iter().map(|(name, _)| plain(name)).collect();
        let rows = self.rows.iter().map(|row| {
            let cells: Vec<String> = row.iter().map(Cell::to_latex).collect();
            format!("    {} \\\\\n", cells.join(" & "))
        });
        let (caption, sides) = (plain(caption), sides.collect::<String>());
        let (names, rows) = (names.join(" & "), rows.collect::<String>());
        if self.is_long() {
            let head = format!("    \\toprule\n    {names} \\\\\n    \\midrule\n");
            return format!(
                "\\begin{{longtable}}{{{sides}}}\n    \\caption{{{caption}}} \\\\\n{head}    \\endfirsthead\n{head}    \
                 \\endhead\n    \\bottomrule\n    \\endfoot\n{rows}\\end{{longtable}}\n"
            );
        }
        format!(
            "\\begin{{table}}\n  \\centering\n  \\caption{{{caption}}}\n  \\begin{{tabular}}{{{sides}}}\n    \\toprule\n    \
             {names} \\\\\n    \\midrule\n{rows}    \\bottomrule\n  \\end{{tabular}}\n\\end{{table}}\n"
        )
    }
}

impl Cell {
    fn to_latex(&self) -> String {
        let parts = self.parts().map(|(mark, text)| {
            let text = plain(text);
            match mark {
                "`" => format!("\\texttt{{{text}}}"),
                "**" => format!("\\textbf{{{text}}}"),
                "**`" => format!("\\textbf{{\\texttt{{{text}}}}}"),
                _ => text,
            }
        });
        parts.collect()
    }
}

/// A text in which nothing is a command.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', c]),
            '\\' => out += "\\textbackslash{}",
            '~' => out += "\\textasciitilde{}",
            '^' => out += "\\textasciicircum{}",
            '<' => out += "\\textless{}",
            '>' => out += "\\textgreater{}",
            '|' => out += "\\textbar{}",
            '±' => out += "$\\pm$",
            '°' => out += "$^\\circ$",
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_table_is_a_command() {
        let mut document = Document::default();
        document.heading(2, "50 % of a_b");
        let mut table = Table::new([("mode", Align::Left), ("accuracy ±", Align::Right)]);
        let name = Cell::default()
            .bold_code("lora-v")
            .text(" (picked) \\end{x}");
        table.rows.push(vec![name, "0.5 & more".into()]);
        document.table(table);
        let text = document.to_latex();
        for part in [
            "% Needs \\usepackage{booktabs}.\n",
            "\\caption{50 \\% of a\\_b}",
            "\\begin{tabular}{lr}",
            "mode & accuracy $\\pm$ \\\\",
            "\\textbf{\\texttt{lora-v}} (picked) \\textbackslash{}end\\{x\\} & 0.5 \\& more \\\\",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_table_that_is_longer_than_a_page_goes_on() {
        let mut document = Document::default();
        document.heading(2, "All modes");
        let mut table = Table::new([("mode", Align::Left), ("accuracy", Align::Right)]);
        let row = |number: usize| vec![Cell::from(format!("v@{number}")), "0.5".into()];
        table.rows.extend((0..50).map(row));
        document.table(table);
        let text = document.to_latex();
        assert!(
            text.starts_with("% Needs \\usepackage{booktabs,longtable}.\n"),
            "{text}"
        );
        assert!(text.contains("\\begin{longtable}{lr}\n    \\caption{All modes} \\\\\n"));
        assert!(text.contains("v@49 & 0.5 \\\\\n\\end{longtable}"));
    }
}
