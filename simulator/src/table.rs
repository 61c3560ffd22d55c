//! The table at the end: labels left, numbers right.

use crate::printable::printable;
use std::fmt::Display;

#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<(String, String, String)>,
}

impl Table {
    pub fn row(&mut self, label: &str, value: impl Display) -> &mut Self {
        self.noted(label, value, "")
    }

    pub fn noted(&mut self, label: &str, value: impl Display, note: &str) -> &mut Self {
        self.rows.push((label.to_owned(), value.to_string(), printable(note).into_owned()));
        self
    }

    /// ```
    /// let mut table = simulator::table::Table::default();
    /// table.row("sent", 1200).noted("lost", 0, "acknowledged, and not in the log");
    /// assert_eq!(table.text(), "sent  1200\nlost     0  acknowledged, and not in the log\n");
    ///
    /// let mut table = simulator::table::Table::default();
    /// table.noted("of these", 1, "an error in words of the server's: \u{9b}2J");
    /// assert!(table.text().ends_with("server's: \\u009b2J\n"));
    /// ```
    pub fn text(&self) -> String {
        let width = |of: fn(&(String, String, String)) -> &String| {
            self.rows.iter().map(|row| of(row).chars().count()).max().unwrap_or_default()
        };
        let (labels, values) = (width(|row| &row.0), width(|row| &row.1));
        let line = |(label, value, note): &(String, String, String)| {
            let line = format!("{label:<labels$}  {value:>values$}  {note}");
            line.trim_end().to_owned() + "\n"
        };
        self.rows.iter().map(line).collect()
    }
}
