//! Tables of reports for LaTeX papers.

use crate::table::{Align, Block, Cell, Document, Table};

impl Document {
    /// The tables of the document for LaTeX, each with the heading above it as its caption. They take the package
    /// `booktabs`.
    pub fn to_latex(&self) -> String {
        let mut out = String::from("% Needs \\usepackage{booktabs}.\n");
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
        format!(
            "\\begin{{table}}\n  \\centering\n  \\caption{{{}}}\n  \\begin{{tabular}}{{{}}}\n    \\toprule\n    {} \\\\\n    \
             \\midrule\n{}    \\bottomrule\n  \\end{{tabular}}\n\\end{{table}}\n",
            plain(caption),
            sides.collect::<String>(),
            names.join(" & "),
            rows.collect::<String>()
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
            "\\caption{50 \\% of a\\_b}",
            "\\begin{tabular}{lr}",
            "mode & accuracy $\\pm$ \\\\",
            "\\textbf{\\texttt{lora-v}} (picked) \\textbackslash{}end\\{x\\} & 0.5 \\& more \\\\",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
