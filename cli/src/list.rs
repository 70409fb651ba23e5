//! Lists: one line per item that fits on a terminal, complete texts on request, and tab-separated lines for other programs.

use std::io::{IsTerminal, Write, stdout};

use comfy_table::Table;
use drumline_consumer::ExitError;
use serde::Serialize;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::format::{one_line, table};
use crate::output::{Output, print};

/// The part of a list's help about its formats.
pub(crate) const FORMS: &str = "\
On a terminal, each line fits the width: ids are complete, and other texts are cut and end in …. --wide shows all texts completely. In a \
pipe, the command prints all columns without a header, separated by tabs, for `cut`, `awk` and `while read`; an empty column is a dash.";

/// The assumed width of a terminal that does not report its width.
const USUAL_WIDTH: usize = 80;

/// The number of spaces between two columns.
const GAP: usize = 2;

/// The smallest width of the last column.
const LEAST: usize = 12;

/// The smallest width of a column that is cut to make room for others.
const LEAST_CUT: usize = 6;

/// A column of a list on a terminal.
pub(crate) struct Column {
    title: &'static str,
    /// The largest width; `None` for text that users copy.
    longest: Option<usize>,
}

impl Column {
    /// Creates a column that is never cut.
    pub(crate) const fn whole(title: &'static str) -> Self {
        Self { title, longest: None }
    }

    /// Creates a column of at most this width.
    pub(crate) const fn cut(title: &'static str, longest: usize) -> Self {
        Self { title, longest: Some(longest) }
    }
}

/// A list that is being written.
pub(crate) struct List<const NARROW: usize, const WIDE: usize> {
    form: Form,
    columns: &'static [Column; NARROW],
    wide_titles: [&'static str; WIDE],
    narrow: Vec<[String; NARROW]>,
    wide: Vec<[String; WIDE]>,
    count: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Narrow,
    Wide,
    Tabs,
    Json,
}

impl<const NARROW: usize, const WIDE: usize> List<NARROW, WIDE> {
    /// Creates a list without lines for standard output. The last column takes the rest of a line.
    pub(crate) fn new(
        output: Output,
        wide: bool,
        columns: &'static [Column; NARROW],
        wide_titles: [&'static str; WIDE],
    ) -> Self {
        let form = match output {
            Output::Json => Form::Json,
            Output::Table if !stdout().is_terminal() => Form::Tabs,
            Output::Table if wide => Form::Wide,
            Output::Table => Form::Narrow,
        };
        Self { form, columns, wide_titles, narrow: Vec::new(), wide: Vec::new(), count: 0 }
    }

    /// Returns the number of lines.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Adds a line. For other programs it is written immediately.
    pub(crate) fn add(
        &mut self,
        narrow: impl FnOnce() -> [String; NARROW],
        wide: impl FnOnce() -> [String; WIDE],
        json: impl Serialize,
    ) -> Result<(), ExitError> {
        self.count += 1;
        match self.form {
            Form::Json => print(|out| out.json_line(&json))?,
            Form::Tabs => print(|out| writeln!(out, "{}", wide().map(|cell| filled(&cell)).join("\t")))?,
            Form::Narrow => self.narrow.push(narrow().map(|cell| one_line(&cell))),
            Form::Wide => self.wide.push(wide().map(|cell| one_line(&cell))),
        }
        Ok(())
    }

    /// Writes the pending lines.
    pub(crate) fn end(self) -> Result<(), ExitError> {
        if !self.narrow.is_empty() {
            let width = Table::new().width().map_or(USUAL_WIDTH, usize::from);
            return print(|out| {
                fitted(self.columns, &self.narrow, width).iter().try_for_each(|line| writeln!(out, "{line}"))
            });
        }
        if !self.wide.is_empty() {
            let mut table = table(self.wide_titles, false);
            table.add_rows(self.wide);
            return print(|out| writeln!(out, "{table}"));
        }
        Ok(())
    }
}

/// Returns a cell for other programs. It is never empty, because `while read` treats two tabs as one.
fn filled(cell: &str) -> String {
    let cell = one_line(cell);
    if cell.is_empty() { "-".to_owned() } else { cell }
}

/// Returns the header and the rows as lines of this width. Cells that must not be cut can make a line longer.
pub(crate) fn fitted<const N: usize>(
    columns: &[Column; N],
    rows: &[[String; N]],
    width: usize,
) -> Vec<String> {
    let header = columns.each_ref().map(|column| column.title.to_owned());
    let mut widths = [0; N];
    for (index, column) in columns.iter().enumerate() {
        let cells = std::iter::once(&header).chain(rows).map(|row| row[index].width());
        let longest = cells.max().unwrap_or_default();
        widths[index] = column.longest.map_or(longest, |most| longest.min(most));
    }
    let mut before: usize = widths[..N - 1].iter().map(|width| width + GAP).sum();
    // Cells that may be cut make room for long ids.
    for (index, column) in columns[..N - 1].iter().enumerate() {
        let excess = (before + LEAST).saturating_sub(width).min(widths[index].saturating_sub(LEAST_CUT));
        if column.longest.is_some() {
            widths[index] -= excess;
            before -= excess;
        }
    }
    widths[N - 1] = width.saturating_sub(before).max(LEAST);
    let line = |row: &[String; N]| {
        let mut line = String::new();
        for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
            let cell = if columns[index].longest.is_some() { cut(cell, width) } else { cell.clone() };
            line.push_str(&cell);
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width()) + GAP));
        }
        line.trim_end().to_owned()
    };
    std::iter::once(&header).chain(rows).map(line).collect()
}

/// Cuts a text to this width. A longer text ends in an ellipsis.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let (mut kept, mut room) = (String::new(), width.saturating_sub(1));
    for c in text.chars() {
        let needed = c.width().unwrap_or_default();
        if needed > room {
            break;
        }
        room -= needed;
        kept.push(c);
    }
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    static COLUMNS: [Column; 3] = [Column::whole("JOB"), Column::cut("TYPE", 8), Column::cut("REASON", 200)];

    fn row(cells: [&str; 3]) -> [String; 3] {
        cells.map(str::to_owned)
    }

    #[test]
    fn a_line_fits_and_its_id_is_whole() {
        let id = "01JQ3ZC5T8M1Y4ZZZZZZZZZZZZ";
        let rows = [row([id, "email.send.now", &"no such user ".repeat(20)]), row(["j", "a.b", "no"])];
        let lines = fitted(&COLUMNS, &rows, 80);
        assert_eq!(lines[0], "JOB                         TYPE      REASON");
        assert!(lines.iter().all(|line| line.width() <= 80), "{lines:?}");
        assert!(lines[1].starts_with(&format!("{id}  email.s…  no such user no")), "{lines:?}");
        assert!(lines[1].ends_with('…'), "{lines:?}");
        assert_eq!(lines[2], "j                           a.b       no");
    }

    #[test]
    fn cells_for_other_programs_are_never_empty() {
        assert_eq!(["", "a\tb"].map(filled), ["-", "a b"]);
    }

    #[test]
    fn an_id_longer_than_the_line_is_not_cut() {
        let id = "x".repeat(100);
        let lines = fitted(&COLUMNS, &[row([&id, "a.b", "no such user at all"])], 80);
        assert!(lines[1].contains(&id) && lines[1].ends_with("no such use…"), "{lines:?}");
    }

    #[test]
    fn wide_characters_take_two_places() {
        assert_eq!(cut("東京都港区", 6), "東京…");
        assert_eq!(cut("東京", 4), "東京");
        assert_eq!(cut("abc", 2), "a…");
    }
}
