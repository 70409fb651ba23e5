//! Reads the input record by record: JSON Lines or CSV, from a file or standard input.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};

use csv::{ByteRecord, ReaderBuilder};

use super::columns::Columns;
use super::quotes::{BYTE_ORDER_MARK, Quotes};
use super::record::{Content, Field, Fields, Record, Source};

/// The longest input line: a message of 1 MiB with all characters escaped.
const MAX_LINE_BYTES: usize = 8 * 1024 * 1024;

/// A source of bytes.
pub(super) type Bytes = Box<dyn Read>;

/// The records of the input.
pub(super) enum Records {
    Lines(Lines),
    Rows(Box<Rows>),
}

impl Records {
    /// Reads the next record; `None` at the end.
    ///
    /// # Errors
    ///
    /// Returns an error if the rest of the input cannot be read.
    pub(super) fn next(&mut self) -> io::Result<Option<Record>> {
        match self {
            Self::Lines(lines) => lines.next(),
            Self::Rows(rows) => rows.next(),
        }
    }

    /// Returns the number of bytes that were read.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Lines(lines) => lines.bytes,
            Self::Rows(rows) => rows.reader.position().byte(),
        }
    }

    /// Returns true if a column sets this field.
    pub(super) fn gives(&self, field: Field) -> bool {
        match self {
            Self::Lines(_) => false,
            Self::Rows(rows) => rows.gives(field),
        }
    }

    /// Returns the header row of CSV.
    pub(super) fn header(&self) -> Option<&ByteRecord> {
        match self {
            Self::Lines(_) => None,
            Self::Rows(rows) => Some(&rows.header),
        }
    }
}

/// JSON Lines. Blank lines are skipped.
pub(super) struct Lines {
    input: BufReader<Bytes>,
    line: usize,
    number: u64,
    bytes: u64,
}

impl Lines {
    pub(super) fn new(input: Bytes) -> Self {
        Self { input: BufReader::new(input), line: 0, number: 0, bytes: 0 }
    }

    fn next(&mut self) -> io::Result<Option<Record>> {
        loop {
            let mut line = Vec::new();
            let limit = u64::try_from(MAX_LINE_BYTES).unwrap_or(u64::MAX);
            if self.input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
                return Ok(None);
            }
            self.line += 1;
            self.bytes += line.len() as u64;
            let is_cut = line.len() == MAX_LINE_BYTES && line.last() != Some(&b'\n');
            if is_cut {
                self.bytes += skip_line(&mut self.input)?;
            }
            if self.line == 1 && line.starts_with(BYTE_ORDER_MARK) {
                line.drain(..BYTE_ORDER_MARK.len());
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            self.number += 1;
            let content = if is_cut {
                Err(format!("it is longer than {} MiB", MAX_LINE_BYTES / 1024 / 1024))
            } else {
                match std::str::from_utf8(&line) {
                    Ok(text) => Ok(Content { json: text.trim().to_owned(), fields: Fields::default() }),
                    Err(_) => Err("it is not UTF-8".to_owned()),
                }
            };
            return Ok(Some(Record {
                number: self.number,
                line: self.line,
                content,
                source: Source::Line(line),
            }));
        }
    }
}

/// Skips the rest of a line, and returns its length.
fn skip_line(input: &mut impl BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = input.fill_buf()?;
        let end = buffer.iter().position(|byte| *byte == b'\n').map(|place| place + 1);
        let bytes = end.unwrap_or(buffer.len());
        input.consume(bytes);
        skipped += bytes as u64;
        if end.is_some() || bytes == 0 {
            return Ok(skipped);
        }
    }
}

/// CSV with a header row.
pub(super) struct Rows {
    reader: csv::Reader<LineEnds>,
    header: ByteRecord,
    columns: Columns,
    number: u64,
    /// The number of line ends before the end of the last record.
    line_ends: usize,
}

/// A source of bytes that records the positions of line ends. With Windows line ends, the CSV reader counts them one record
/// late.
struct LineEnds {
    input: Bytes,
    read: u64,
    /// The positions of line ends that are not counted yet: at most those of the reader's buffer and of one record.
    places: VecDeque<u64>,
    quotes: Quotes,
}

impl Read for LineEnds {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.input.read(buffer)?;
        if bytes == 0 && !buffer.is_empty() {
            self.quotes.end()?;
        }
        self.quotes.add(&buffer[..bytes]);
        let places = (self.read..).zip(&buffer[..bytes]).filter(|(_, byte)| **byte == b'\n');
        self.places.extend(places.map(|(place, _)| place));
        self.read += bytes as u64;
        Ok(bytes)
    }
}

impl Rows {
    /// Reads the header row and passes it to `columns`.
    ///
    /// # Errors
    ///
    /// Returns an error text if the header cannot be read, or if its columns cannot be fields.
    pub(super) fn new(
        input: Bytes,
        delimiter: u8,
        columns: impl FnOnce(&[String]) -> Result<Columns, String>,
    ) -> Result<Self, String> {
        let input = LineEnds { input, read: 0, places: VecDeque::new(), quotes: Quotes::new(delimiter) };
        let mut reader =
            ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(input);
        let mut header = ByteRecord::new();
        if !reader.read_byte_record(&mut header).map_err(|error| error.to_string())? {
            return Err("it is empty, where a header row was expected".to_owned());
        }
        let names = cells(&header).ok_or("its header is not UTF-8")?;
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        if let [name] = &names[..]
            && let Some(other) = [';', '\t', ','].into_iter().find(|other| name.contains(*other))
        {
            return Err(format!("its header is one column {name:?}: is --delimiter {other:?} meant?"));
        }
        let columns = columns(&names)?;
        Ok(Self { reader, header, columns, number: 0, line_ends: 0 })
    }

    /// Returns true if a column sets this field.
    pub(super) fn gives(&self, field: Field) -> bool {
        self.columns.gives(field)
    }

    fn next(&mut self) -> io::Result<Option<Record>> {
        let mut row = ByteRecord::new();
        if !self.reader.read_byte_record(&mut row).map_err(io_error)? {
            return Ok(None);
        }
        self.number += 1;
        let line = self.line_of(&row);
        let content = match cells(&row) {
            Some(_) if row == self.header => Err("it is the header row once more".to_owned()),
            Some(cells) => self.columns.read(&cells).map(|(json, fields)| Content { json, fields }),
            None => Err("it is not UTF-8".to_owned()),
        };
        Ok(Some(Record { number: self.number, line, content, source: Source::Row(row) }))
    }

    /// Returns the line in which the last row begins.
    fn line_of(&mut self, row: &ByteRecord) -> usize {
        let end = self.reader.position().byte();
        let places = &mut self.reader.get_mut().places;
        let passed = places.partition_point(|place| *place < end);
        // With other line ends, the reader has not read the last one yet.
        let has_read_own = passed > 0 && places[passed - 1] + 1 == end;
        places.drain(..passed);
        self.line_ends += passed;
        let within = row.iter().flatten().filter(|byte| **byte == b'\n').count();
        (1 + self.line_ends).saturating_sub(usize::from(has_read_own) + within)
    }
}

/// Converts an error of the CSV reader to an I/O error.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("it cannot be read as CSV: {kind:?}")),
    }
}

fn cells(row: &ByteRecord) -> Option<Vec<&str>> {
    row.iter().map(|cell| std::str::from_utf8(cell).ok()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::columns::CellTypes;
    use super::*;

    /// Returns the line of each record with its JSON, or with the reason why it is refused.
    fn all(mut records: Records) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        while let Some(record) = records.next().unwrap() {
            assert_eq!(record.number, found.len() as u64 + 1);
            let text = record.content.map_or_else(|why| format!("! {why}"), |content| content.json);
            found.push((record.line, text));
        }
        found
    }

    fn lines(text: &[u8]) -> Records {
        Records::Lines(Lines::new(Box::new(io::Cursor::new(text.to_vec()))))
    }

    fn rows(text: &[u8], delimiter: u8) -> Result<Records, String> {
        let columns = |header: &[String]| Columns::new(header, &[], CellTypes::Json, &[], |_| false);
        Rows::new(Box::new(io::Cursor::new(text.to_vec())), delimiter, columns)
            .map(|rows| Records::Rows(Box::new(rows)))
    }

    fn found(expected: &[(usize, &str)]) -> Vec<(usize, String)> {
        expected.iter().map(|(line, text)| (*line, (*text).to_owned())).collect()
    }

    #[test]
    fn json_lines_may_have_a_bom_blank_lines_and_windows_line_ends() {
        let text = "\u{feff}{\"a\":1}\r\n\r\n  {\"a\":2}  \n\n3";
        assert_eq!(all(lines(text.as_bytes())), found(&[(1, r#"{"a":1}"#), (3, r#"{"a":2}"#), (5, "3")]));
        assert_eq!(all(lines(b"\xff\n1")), found(&[(1, "! it is not UTF-8"), (2, "1")]));
        assert_eq!(all(lines(b"\n\n")), []);
    }

    #[test]
    fn a_line_that_is_too_long_is_one_record_that_is_refused() {
        let long = format!("{}\n7\n", "x".repeat(MAX_LINE_BYTES + 100));
        let mut records = lines(long.as_bytes());
        assert_eq!(records.next().unwrap().unwrap().content.err().unwrap(), "it is longer than 8 MiB");
        let next = records.next().unwrap().unwrap();
        assert_eq!((next.number, next.line, next.content.unwrap().json), (2, 2, "7".to_owned()));
        assert_eq!(records.bytes(), long.len() as u64);
    }

    #[test]
    fn rows_of_csv_know_the_line_where_they_begin() {
        let text = "\u{feff}id,note\r\n1,\"two\r\nlines, and \"\"quotes\"\"\"\r\n2,plain\r\n\r\n3\r\n4,end";
        let expected = [
            (2, r#"{"id":1,"note":"two\r\nlines, and \"quotes\""}"#),
            (4, r#"{"id":2,"note":"plain"}"#),
            (6, "! the row has 1 cells, and the header 2"),
            (7, r#"{"id":4,"note":"end"}"#),
        ];
        assert_eq!(all(rows(text.as_bytes(), b',').unwrap()), found(&expected));
        assert_eq!(all(rows(b"a;b\n1;2,5\n", b';').unwrap()), found(&[(2, r#"{"a":1,"b":"2,5"}"#)]));
        assert_eq!(
            all(rows(b"a\n\xff\n1\n", b',').unwrap()),
            found(&[(2, "! it is not UTF-8"), (3, r#"{"a":1}"#)])
        );
        assert_eq!(all(rows(b"a,b\n", b',').unwrap()), []);
        assert_eq!(
            all(rows(b"a,b\n1,2\na,b\n3\n", b',').unwrap()),
            found(&[
                (2, r#"{"a":1,"b":2}"#),
                (3, "! it is the header row once more"),
                (4, "! the row has 1 cells, and the header 2")
            ])
        );
    }

    #[test]
    fn an_unclosed_quote_ends_the_input_after_the_rows_before_it() {
        let mut records = rows(b"a,b\n1,2\n3,\"x\n4,5\n", b',').unwrap();
        assert_eq!(records.next().unwrap().unwrap().line, 2);
        let error = records.next().err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().starts_with("line 3: the quote"), "{error}");
    }

    #[test]
    fn a_header_that_is_missing_or_of_another_delimiter_is_refused() {
        let error = |text: &[u8]| rows(text, b',').err().unwrap();
        assert!(error(b"").contains("empty"));
        assert!(error(b"id;name\n1;Ada\n").contains("--delimiter ';'"), "{}", error(b"id;name\n"));
        assert!(error(b"\xff\n").contains("not UTF-8"));
    }
}
