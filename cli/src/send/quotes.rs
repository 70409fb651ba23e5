//! Checks the quotes of CSV. The CSV reader accepts the end of the input as a closing quote, so a missing quote would join the
//! rest of the file.

use std::io::{self, Read};

/// Some Windows programs write it at the beginning of a file.
pub(super) const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A state within CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    FieldStart,
    Field,
    Quoted,
    /// After a quote inside quotes: either it closes them, or it is the first of a doubled quote.
    QuotedQuote,
}

/// Tracks the quotes of CSV like its reader does.
pub(super) struct Quotes {
    delimiter: u8,
    place: Place,
    bytes: usize,
    line: usize,
    /// The line of the last opening quote.
    opened: usize,
}

impl Quotes {
    /// Starts at the beginning of an input.
    pub(super) fn new(delimiter: u8) -> Self {
        Self { delimiter, place: Place::FieldStart, bytes: 0, line: 1, opened: 0 }
    }

    /// Processes further bytes.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let is_mark = BYTE_ORDER_MARK.get(self.bytes) == Some(byte) && self.place == Place::FieldStart;
            self.bytes += 1;
            if is_mark {
                continue;
            }
            self.place = match (self.place, *byte) {
                (Place::FieldStart, b'"') => {
                    self.opened = self.line;
                    Place::Quoted
                }
                (Place::Quoted, b'"') => Place::QuotedQuote,
                (Place::QuotedQuote, b'"') | (Place::Quoted, _) => Place::Quoted,
                (_, b'\r' | b'\n') => Place::FieldStart,
                (_, byte) if byte == self.delimiter => Place::FieldStart,
                (Place::FieldStart | Place::Field | Place::QuotedQuote, _) => Place::Field,
            };
            self.line += usize::from(*byte == b'\n');
        }
    }

    /// Ends the input.
    ///
    /// # Errors
    ///
    /// Returns an error with the line of the opening quote if the end is inside quotes.
    pub(super) fn end(&self) -> io::Result<()> {
        if self.place == Place::Quoted {
            let why = format!("line {}: the quote that begins there is not closed", self.opened);
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(())
    }

    /// Checks a whole input.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`end`](Self::end), or an error if the input cannot be read.
    pub(super) fn check(mut input: impl Read, delimiter: u8) -> io::Result<()> {
        let (mut quotes, mut buffer) = (Self::new(delimiter), vec![0; 1 << 16]);
        loop {
            match input.read(&mut buffer)? {
                0 => return quotes.end(),
                bytes => quotes.add(&buffer[..bytes]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_that_is_not_closed_is_named_by_its_line() {
        let table = [
            ("", None),
            ("a,b\n1,\"x\ny\"\n", None),
            ("a\n\"x\"", None),
            ("a\n\"x\"\"y\"\n", None),
            ("a\n5\" pipe\n1\n", None),
            ("\u{feff}\"a\nb\",c\n", None),
            ("a\n\"x\"y\"\n", None),
            ("\u{feff}\"a", Some(1)),
            ("a,b\n1,2\n3,\"x\n4,5\n", Some(3)),
            ("a;b\n1;\"2\n", Some(2)),
            ("a\n\"x\ny\"\n\"\"\"\n", Some(4)),
        ];
        for (text, line) in table {
            let delimiter = if text.contains(';') { b';' } else { b',' };
            let why = Quotes::check(text.as_bytes(), delimiter).err().map(|error| error.to_string());
            let expected =
                line.map(|line: usize| format!("line {line}: the quote that begins there is not closed"));
            assert_eq!(why, expected, "{text:?}");
        }
    }
}
