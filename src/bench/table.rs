//! Columns of text: aligned for a terminal, or with the bars of Markdown.

/// A titled table. Numbers stand to the right, words to the left.
#[derive(Debug)]
pub(super) struct Table {
    pub title: String,
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<String>>,
    /// Rows at the end that sum up the others.
    pub totals: Vec<Vec<String>>,
}

#[derive(Debug)]
pub(super) struct Column {
    pub name: &'static str,
    pub number: bool,
}

/// A column of words.
pub(super) fn words(name: &'static str) -> Column {
    Column { name, number: false }
}

/// A column of numbers.
pub(super) fn numbers(name: &'static str) -> Column {
    Column { name, number: true }
}

impl Table {
    /// For a terminal.
    pub fn text(&self) -> String {
        let widths = self.widths();
        let names: Vec<String> = self.columns.iter().map(|column| column.name.to_owned()).collect();
        let rule: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
        let mut text = format!("{}\n", self.title);
        text += &self.line(&names, &widths);
        self.rows.iter().for_each(|row| text += &self.line(row, &widths));
        if !self.totals.is_empty() {
            text += &self.line(&rule, &widths);
            self.totals.iter().for_each(|row| text += &self.line(row, &widths));
        }
        text
    }

    /// For a document.
    pub fn markdown(&self) -> String {
        let line = |cells: &[&str]| format!("| {} |\n", cells.join(" | "));
        let names: Vec<&str> = self.columns.iter().map(|column| column.name).collect();
        let rules: Vec<&str> = self.columns.iter().map(|column| if column.number { "---:" } else { "---" }).collect();
        let mut text = format!("### {}\n\n{}{}", self.title, line(&names), line(&rules));
        for row in self.rows.iter().chain(&self.totals) {
            text += &line(&row.iter().map(String::as_str).collect::<Vec<_>>());
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let cells = |at: usize| self.rows.iter().chain(&self.totals).map(move |row| row[at].chars().count());
        let width = |(at, column): (usize, &Column)| cells(at).chain([column.name.chars().count()]).max();
        self.columns.iter().enumerate().map(|column| width(column).unwrap_or(0)).collect()
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let padded = cells.iter().zip(widths).zip(&self.columns).map(|((cell, &width), column)| {
            if column.number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        let line = padded.collect::<Vec<_>>().join("  ");
        format!("  {}\n", line.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        Table {
            title: "Title".into(),
            columns: vec![words("layer"), numbers("ms")],
            rows: vec![row(["é", "10.25"]), row(["longer", "3"])],
            totals: vec![row(["sum", "13.25"])],
        }
    }

    #[test]
    fn a_terminal_gets_aligned_columns() {
        let expected = "Title\n  layer      ms\n  é       10.25\n  longer      3\n  ──────  ─────\n  sum     13.25\n";
        assert_eq!(table().text(), expected);
    }

    #[test]
    fn a_document_gets_bars() {
        let expected = "### Title\n\n| layer | ms |\n| --- | ---: |\n| é | 10.25 |\n| longer | 3 |\n| sum | 13.25 |\n";
        assert_eq!(table().markdown(), expected);
    }
}
