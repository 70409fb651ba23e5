//! Splits bytes into records, piece by piece. After each record it knows the byte offset and the line of the next one, so that
//! another reader can continue there.

use csv_core::{ReadRecordResult, Reader};
use drumline::Failure;

/// The longest record in bytes. A quote that is never closed would join the whole rest into one record.
const MAX_RECORD_BYTES: usize = 1024 * 1024;

/// The most fields of a record.
const MAX_FIELDS: usize = 16 * 1024;

/// The position of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u64,
    /// The line, counted from 1.
    pub(super) line: u64,
}

/// Reads comma-separated records as in [RFC 4180](https://www.rfc-editor.org/rfc/rfc4180): quoted fields may contain commas and
/// line ends; a line ends with LF, CR or both; empty lines are skipped; so is a byte order mark at the beginning.
pub(super) struct Records {
    parser: Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
    /// The used lengths of the two buffers.
    filled: usize,
    ended: usize,
    /// True if the record in the buffers was returned.
    given: bool,
    /// True if a record has begun.
    within: bool,
    /// The position after the last complete record.
    boundary: Place,
    /// The position after the last byte that was read.
    reached: Place,
}

/// One line of the table.
#[derive(Debug)]
pub(super) struct Record<'a> {
    /// The line in which it begins.
    pub(super) line: u64,
    text: &'a [u8],
    ends: &'a [usize],
}

impl<'a> Record<'a> {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn field(&self, index: usize) -> &'a [u8] {
        let begin = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[begin..self.ends[index]]
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = &'a [u8]> {
        (0..self.len()).map(|index| self.field(index))
    }
}

impl Records {
    /// Starts at the beginning of a source.
    pub(super) fn new() -> Self {
        let begin = Place { offset: 0, line: 1 };
        Self {
            parser: Reader::new(),
            text: vec![0; 4096],
            ends: vec![0; 64],
            filled: 0,
            ended: 0,
            given: false,
            within: false,
            boundary: begin,
            reached: begin,
        }
    }

    /// Starts at the position of a record that is not at the source's beginning.
    pub(super) fn from(place: Place) -> Self {
        let mut records = Self { boundary: place, reached: place, ..Self::new() };
        // A byte order mark would be data here; the parser skips it only at its beginning.
        records.parser.read_record(b"\n", &mut [], &mut []);
        records
    }

    /// Returns the position of the next record.
    pub(super) fn boundary(&self) -> Place {
        self.boundary
    }

    /// Returns the next complete record of the piece, and removes it from the piece. Returns `None` if the rest of the piece
    /// contains none: the rest is kept. The source's first piece must have at least three bytes if the source has them.
    pub(super) fn next(&mut self, piece: &mut &[u8]) -> Result<Option<Record<'_>>, Failure> {
        if self.given {
            (self.filled, self.ended, self.given, self.within) = (0, 0, false, false);
        }
        if !self.within {
            self.skip_line_ends(piece);
        }
        if piece.is_empty() { Ok(None) } else { self.parse(piece) }
    }

    /// Returns the last record of the source if no line end follows it.
    pub(super) fn last(&mut self) -> Result<Option<Record<'_>>, Failure> {
        if self.given || !self.within {
            return Ok(None);
        }
        self.parse(&mut &[][..])
    }

    /// Skips line ends. The parser would skip them, too, but would not report where the record then begins.
    fn skip_line_ends(&mut self, piece: &mut &[u8]) {
        let rest = piece.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(piece.len());
        let (skipped, rest) = piece.split_at(rest);
        self.reached.offset += skipped.len() as u64;
        // There are few of them: two in a row if a line ends with both.
        self.reached.line += skipped.iter().map(|&byte| u64::from(byte == b'\n')).sum::<u64>();
        *piece = rest;
    }

    /// Calls the parser, for which an empty piece means the end of the source.
    fn parse(&mut self, piece: &mut &[u8]) -> Result<Option<Record<'_>>, Failure> {
        let at_end = piece.is_empty();
        if !self.within {
            self.within = true;
            self.boundary = self.reached;
        }
        loop {
            let line = self.parser.line();
            let (result, read, written, ended) =
                self.parser.read_record(piece, &mut self.text[self.filled..], &mut self.ends[self.ended..]);
            *piece = &piece[read..];
            self.reached.offset += read as u64;
            self.reached.line += self.parser.line() - line;
            self.filled += written;
            self.ended += ended;
            match result {
                ReadRecordResult::InputEmpty | ReadRecordResult::End => return Ok(None),
                ReadRecordResult::OutputFull => {
                    let too_long = self.too_long("bytes", MAX_RECORD_BYTES);
                    grow(&mut self.text, MAX_RECORD_BYTES).ok_or(too_long)?;
                }
                ReadRecordResult::OutputEndsFull => {
                    let too_long = self.too_long("fields", MAX_FIELDS);
                    grow(&mut self.ends, MAX_FIELDS).ok_or(too_long)?;
                }
                ReadRecordResult::Record => break,
            }
            if piece.is_empty() && !at_end {
                return Ok(None);
            }
        }
        let line = self.boundary.line;
        (self.given, self.boundary) = (true, self.reached);
        Ok(Some(Record { line, text: &self.text[..self.filled], ends: &self.ends[..self.ended] }))
    }

    fn too_long(&self, what: &str, max: usize) -> Failure {
        let line = self.boundary.line;
        Failure::reject(format_args!(
            "the record that begins in line {line} has more than {max} {what}: is a quote not closed?"
        ))
    }
}

/// Doubles a buffer. Returns `None` if it must not grow further.
fn grow<T: Clone + Default>(buffer: &mut Vec<T>, max: usize) -> Option<()> {
    if buffer.len() >= max {
        return None;
    }
    buffer.resize((buffer.len() * 2).min(max), T::default());
    Some(())
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
