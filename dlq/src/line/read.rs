//! The reader of an export. It reads line by line, so that exports can have any size.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _};
use std::time::Duration;

use drumline::message::{Attribute, Intake, Message};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::format::{FORMAT_VERSION, Header, LineAttribute, system};
use crate::letter::{Cause, Letter};

/// The maximum length of a line in bytes. A body of 1 MiB takes six times that if each of its characters is escaped; the rest
/// is the history.
const LONGEST_LINE: u64 = 16 << 20;

/// A letter of an export.
#[derive(Debug)]
pub struct Exported {
    /// The number of its line, from 1.
    pub line: u64,
    /// The message without a receipt.
    pub message: Message,
    /// The cause of its death.
    pub why: Option<Cause>,
    /// The type of its job, if it was known.
    pub job_type: Option<String>,
    /// The history of its job as it was written.
    pub history: Option<Box<RawValue>>,
}

impl Exported {
    /// Returns the letter, decoded as the worker of its queue decodes it.
    pub fn into_letter(self, intake: &Intake) -> Letter {
        let mut letter = Letter::new(self.message, intake);
        letter.learn(self.why, self.job_type);
        letter
    }
}

/// The reason why an export cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is empty: its export was stopped before it began.
    #[error("it is empty")]
    Empty,
    /// The first line is no header of an export.
    #[error("the first line is no header of an export of dead letters")]
    NoHeader,
    /// The export is of a later version.
    #[error("the export has the format version {0}, and this program reads {FORMAT_VERSION}")]
    Version(u32),
    /// A line is no letter.
    #[error("line {line}: {why}")]
    Line {
        /// The number of the line, from 1.
        line: u64,
        /// The reason why it is no letter.
        why: String,
    },
    /// The last line is incomplete: its writer was stopped.
    #[error("line {line} is not complete: the export was stopped while it was written")]
    Torn {
        /// The number of the line, from 1.
        line: u64,
    },
}

/// The letters of an export, in the order of its lines.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    line: u64,
    bytes: u64,
    is_over: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parsed {
    message_id: String,
    body: String,
    #[serde(default)]
    attributes: BTreeMap<String, LineAttribute>,
    #[serde(default)]
    system: BTreeMap<String, String>,
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    deduplication_id: Option<String>,
    #[serde(default, rename = "type")]
    job_type: Option<String>,
    #[serde(default)]
    why: Option<Cause>,
    #[serde(default)]
    history: Option<Box<RawValue>>,
}

impl<R: BufRead> Lines<R> {
    /// Reads the header of an export.
    ///
    /// # Errors
    /// If it has none that this version can read.
    pub fn open(reader: R) -> Result<(Header, Self), ReadError> {
        let mut lines = Self { reader, line: 0, bytes: 0, is_over: false };
        let text = match lines.read_line() {
            Ok(text) => text.ok_or(ReadError::Empty)?,
            Err(ReadError::Line { .. }) => return Err(ReadError::NoHeader),
            Err(error) => return Err(error),
        };
        Ok((header(&text)?.ok_or(ReadError::NoHeader)?, lines))
    }

    /// Returns the number of bytes of the read lines, including the header.
    pub fn bytes_read(&self) -> u64 {
        self.bytes
    }

    /// Reads the next line without its end.
    fn read_line(&mut self) -> Result<Option<String>, ReadError> {
        let mut text = Vec::new();
        let read = (&mut self.reader).take(LONGEST_LINE).read_until(b'\n', &mut text)? as u64;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        let line = self.line;
        if text.pop_if(|last| *last == b'\n').is_none() {
            let why = format!("it has more than {LONGEST_LINE} bytes");
            return Err(if read == LONGEST_LINE {
                ReadError::Line { line, why }
            } else {
                ReadError::Torn { line }
            });
        }
        self.bytes += read;
        let text = String::from_utf8(text);
        text.map(Some).map_err(|error| ReadError::Line { line, why: error.to_string() })
    }

    fn read(&mut self) -> Result<Option<Exported>, ReadError> {
        while let Some(text) = self.read_line()? {
            let line = self.line;
            let unreadable = |why: String| ReadError::Line { line, why };
            match serde_json::from_str::<Parsed>(&text) {
                Ok(parsed) => return exported(line, parsed).map(Some).map_err(unreadable),
                // Exports may be concatenated.
                Err(error) => {
                    if header(&text)?.is_none() && !text.trim().is_empty() {
                        return Err(unreadable(format!("it is no letter: {error}")));
                    }
                }
            }
        }
        Ok(None)
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<Exported, ReadError>;

    /// Returns the next letter. An error is the last item.
    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let result = self.read();
        self.is_over = !matches!(result, Ok(Some(_)));
        result.transpose()
    }
}

/// Returns the header in a line, if it is a header.
fn header(text: &str) -> Result<Option<Header>, ReadError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Versioned {
        drumline_dead_letters: u32,
    }
    match serde_json::from_str::<Versioned>(text) {
        Ok(Versioned { drumline_dead_letters: FORMAT_VERSION }) => Ok(serde_json::from_str(text).ok()),
        Ok(Versioned { drumline_dead_letters: version }) => Err(ReadError::Version(version)),
        Err(_) => Ok(None),
    }
}

fn exported(line: u64, parsed: Parsed) -> Result<Exported, String> {
    let Parsed { message_id, body, attributes, mut system, group, deduplication_id, .. } = parsed;
    let attribute = |(name, value): (String, LineAttribute)| match Attribute::try_from(value) {
        Ok(value) => Ok((name, value)),
        Err(why) => Err(format!("attribute {name}: {why}")),
    };
    let number = |text: Option<String>| text.and_then(|text| text.parse().ok());
    let time = |text: Option<String>| number(text).map(Duration::from_millis);
    let receives = number(system.remove(system::RECEIVE_COUNT)).unwrap_or_default();
    let message = Message {
        id: message_id.into(),
        receipt: String::new(),
        body,
        receive_count: u32::try_from(receives).unwrap_or(u32::MAX),
        sent_at: time(system.remove(system::SENT)),
        first_received_at: time(system.remove(system::FIRST_RECEIVED)),
        group: group.or_else(|| system.remove(system::GROUP)),
        deduplication_id: deduplication_id.or_else(|| system.remove(system::DEDUPLICATION_ID)),
        sequence_number: system.remove(system::SEQUENCE_NUMBER),
        sender_id: system.remove(system::SENDER),
        trace_header: system.remove(system::TRACE_HEADER),
        dead_letter_source: system.remove(system::DEAD_LETTER_SOURCE),
        attributes: attributes.into_iter().map(attribute).collect::<Result<_, String>>()?,
    };
    Ok(Exported { line, message, why: parsed.why, job_type: parsed.job_type, history: parsed.history })
}
