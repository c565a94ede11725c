//! Columns of text: aligned for a terminal, or with the bars of Markdown.
//!
//! A terminal may be narrow, and so is a letter that somebody quotes a table in: what a table can do without is left out
//! of it there, until it fits.

/// Characters of a line, at most.
pub const WIDTH: usize = 60;

/// Spaces before each column.
const GAP: usize = 2;

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
    /// Above 0: left out where there is no room, the largest number first.
    pub spare: u8,
}

/// A column of words.
pub(super) fn words(name: &'static str) -> Column {
    Column { name, number: false, spare: 0 }
}

/// A column of numbers.
pub(super) fn numbers(name: &'static str) -> Column {
    Column { name, number: true, spare: 0 }
}

impl Column {
    pub fn spare(self, spare: u8) -> Self {
        Column { spare, ..self }
    }
}

impl Table {
    /// For a terminal.
    pub fn text(&self) -> String {
        let widths = self.fitting();
        let names: Vec<String> = self.columns.iter().map(|column| column.name.to_owned()).collect();
        let rule: Vec<String> = widths.iter().map(|width| "─".repeat(width.unwrap_or(0))).collect();
        let mut text = wrapped("", &self.title);
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

    /// The width of each column, `None` for those that are left out.
    fn fitting(&self) -> Vec<Option<usize>> {
        let cells = |at: usize| self.rows.iter().chain(&self.totals).map(move |row| row[at].chars().count());
        let width = |(at, column): (usize, &Column)| cells(at).chain([column.name.chars().count()]).max();
        let mut widths: Vec<_> = self.columns.iter().enumerate().map(width).collect();
        while widths.iter().flatten().map(|width| width + GAP).sum::<usize>() > WIDTH {
            let there = (0..widths.len()).filter(|&at| widths[at].is_some() && self.columns[at].spare > 0);
            let Some(least) = there.max_by_key(|&at| self.columns[at].spare) else { break };
            widths[least] = None;
        }
        widths
    }

    fn line(&self, cells: &[String], widths: &[Option<usize>]) -> String {
        let padded = cells.iter().zip(widths).zip(&self.columns).filter_map(|((cell, width), column)| {
            let width = (*width)?;
            Some(if column.number { format!("{cell:>width$}") } else { format!("{cell:<width$}") })
        });
        let gap = " ".repeat(GAP);
        let line = padded.map(|cell| gap.clone() + &cell).collect::<String>();
        format!("{}\n", line.trim_end())
    }
}

/// `text` after `head`, in lines of at most [`WIDTH`] characters, the further ones below the first's text.
#[must_use]
pub fn wrapped(head: &str, text: &str) -> String {
    let indent = head.chars().count();
    let (mut lines, mut line) = (String::new(), String::new());
    for word in text.split_whitespace() {
        if !line.is_empty() && indent + line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines += &format!("{line}\n{:indent$}", "");
            line.clear();
        }
        line += if line.is_empty() { "" } else { " " };
        line += word;
    }
    format!("{head}{lines}{line}\n")
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

    #[test]
    fn what_there_is_no_room_for_is_left_out() {
        let mut table = table();
        table.columns.insert(1, words("first to go").spare(2));
        table.columns.insert(2, words("second").spare(1));
        for row in table.rows.iter_mut().chain(&mut table.totals) {
            row.splice(1..1, ["a".into(), "b".repeat(24)]);
        }
        assert!(table.text().contains("first to go"));
        table.rows[0][0] = "wider".repeat(5);
        let text = table.text();
        assert!(text.contains("second") && !text.contains("first"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(table.markdown().contains("first to go"));
    }

    #[test]
    fn text_goes_on_below_itself() {
        let text = wrapped("Processor: ", &"word ".repeat(12));
        assert_eq!(text, format!("Processor: {}\n           {}\n", ["word"; 10].join(" "), ["word"; 2].join(" ")));
        assert_eq!(wrapped("a ", ""), "a \n");
    }
}
