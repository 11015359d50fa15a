//! [`Table`]: aligned columns.

use unicode_width::UnicodeWidthStr;

use crate::output::{Look, plain};

/// Between two columns.
const GAP: &str = "  ";

/// One field.
#[derive(Debug)]
pub(crate) struct Cell {
    text: String,
    look: Look,
}

/// A field; an empty text is shown as `-`.
pub(crate) fn cell(text: impl AsRef<str>, look: Look) -> Cell {
    match plain(text.as_ref()) {
        text if text.is_empty() => Cell { text: "-".to_owned(), look: Look::Dim },
        text => Cell { text, look },
    }
}

/// Rows with a heading. The last column is as wide as it likes.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(heading: [&str; N]) -> Self {
        Self { rows: vec![heading.map(|text| cell(text, Look::Strong)).into()] }
    }

    /// Without a heading.
    pub(crate) fn bare() -> Self {
        Self { rows: Vec::new() }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.rows.push(cells.into());
    }

    /// The table, each line ended.
    pub(crate) fn render(&self) -> String {
        let mut widths: Vec<usize> = Vec::new();
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                let width = cell.text.width();
                match widths.get_mut(column) {
                    Some(widest) => *widest = width.max(*widest),
                    None => widths.push(width),
                }
            }
        }
        let mut text = String::new();
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                text.push_str(&cell.look.paint(&cell.text));
                if column + 1 < row.len() {
                    text.push_str(&" ".repeat(widths[column] - cell.text.width()));
                    text.push_str(GAP);
                }
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left without colour.
    fn seen(table: &Table) -> String {
        anstream::adapter::strip_str(&table.render()).to_string()
    }

    #[test]
    fn columns_align_by_what_is_seen_and_the_last_is_not_padded() {
        let mut table = Table::new(["A", "BB", "C"]);
        table.row([cell("größer", Look::Good), cell("", Look::Plain), cell("x", Look::Bad)]);
        table.row([cell("漢字", Look::Plain), cell("b", Look::Plain), cell("a longer one", Look::Plain)]);
        assert_eq!(seen(&table), "A       BB  C\ngrößer  -   x\n漢字    b   a longer one\n");
    }

    #[test]
    fn nothing_from_a_file_steers_the_terminal() {
        let mut table = Table::bare();
        table.row([cell("a\u{1b}[2Jb\u{7}", Look::Plain), cell("one\n  two\n", Look::Plain)]);
        assert_eq!(table.render(), "a\\u{1b}[2Jb\\u{7}  one; two\n");
    }
}
