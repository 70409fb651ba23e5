//! A fast decoder for the answers that SQS gives nearly always: objects, lists and strings with the usual fields.
//!
//! It returns nothing for any other answer, which `decode.rs` then decodes with `serde_json`: numbers, `null`, unknown fields, binary
//! attributes, line breaks, surrogate pairs, and text that is no JSON. An answer that it decodes has the same meaning for
//! `serde_json`.

use std::time::Duration;

use drumline::message::{Attribute, AttributeValue, Message};
use memchr::memchr2;

use crate::answer::{BatchAnswer, MAX_ENTRIES, SentEntry};

/// Decodes the answer to a receive.
pub(crate) fn messages(text: &str) -> Option<Vec<Message>> {
    let mut messages = Vec::with_capacity(MAX_ENTRIES);
    Cursor::new(text)?.whole(|json| {
        json.expect("\"Messages\":")?;
        json.list(|json| {
            messages.push(Message::default());
            let message = messages.last_mut()?;
            json.object(|json| json.message_field(message))
        })
    })?;
    Some(messages)
}

/// Decodes the answer to a batch of deletes or changes of visibility without failures.
pub(crate) fn batch(text: &str) -> Option<BatchAnswer> {
    let mut successful = Vec::with_capacity(MAX_ENTRIES);
    Cursor::new(text)?.whole(|json| {
        if json.skip("\"Failed\":") {
            return json.list(|_| None);
        }
        json.expect("\"Successful\":")?;
        json.list(|json| {
            successful.push(SentEntry::default());
            let entry = successful.last_mut()?;
            json.object(|json| {
                json.expect("\"Id\":")?;
                entry.id = json.text()?.into();
                Some(())
            })
        })
    })?;
    Some(BatchAnswer { successful, failed: Vec::new() })
}

/// The unread part of an answer. A method that returns `None` has met something unusual.
struct Cursor<'a> {
    rest: &'a str,
    /// The last string with escapes, without them. One buffer for all, so that each string is allocated once and in its length.
    unescaped: String,
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Option<Self> {
        // JSON forbids control characters in strings. One loop over the whole answer, without an exit, takes fewest instructions.
        let lowest = text.bytes().fold(u8::MAX, u8::min);
        (lowest >= b' ').then_some(Self { rest: text, unescaped: String::new() })
    }

    /// Reads the only object of an answer, whose fields are read by `field`.
    fn whole(&mut self, field: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.object(field)?;
        self.skip_spaces();
        self.rest.is_empty().then_some(())
    }

    fn message_field(&mut self, message: &mut Message) -> Option<()> {
        if self.skip("\"MessageId\":") {
            message.id = self.text()?.into();
        } else if self.skip("\"ReceiptHandle\":") {
            message.receipt = self.text()?.into();
        } else if self.skip("\"MD5OfBody\":") || self.skip("\"MD5OfMessageAttributes\":") {
            self.text()?;
        } else if self.skip("\"Body\":") {
            message.body = self.text()?.into();
        } else if self.skip("\"Attributes\":") {
            self.object(|json| json.system_attribute(message))?;
        } else if self.skip("\"MessageAttributes\":") {
            self.object(|json| {
                let name = json.text()?.to_owned();
                json.expect(":")?;
                message.attributes.insert(name, json.attribute()?);
                Some(())
            })?;
        } else {
            return None;
        }
        Some(())
    }

    fn system_attribute(&mut self, message: &mut Message) -> Option<()> {
        if self.skip("\"ApproximateReceiveCount\":") {
            // A count that is too large to read is a large one, not an absent one.
            message.receive_count = self.text()?.parse().unwrap_or(u32::MAX);
        } else if self.skip("\"SentTimestamp\":") {
            message.sent_at = millis(self.text()?);
        } else if self.skip("\"ApproximateFirstReceiveTimestamp\":") {
            message.first_received_at = millis(self.text()?);
        } else {
            let field = if self.skip("\"SenderId\":") {
                &mut message.sender_id
            } else if self.skip("\"MessageGroupId\":") {
                &mut message.group
            } else if self.skip("\"MessageDeduplicationId\":") {
                &mut message.deduplication_id
            } else if self.skip("\"SequenceNumber\":") {
                &mut message.sequence_number
            } else if self.skip("\"AWSTraceHeader\":") {
                &mut message.trace_header
            } else {
                return None;
            };
            *field = Some(self.text()?.to_owned());
        }
        Some(())
    }

    fn attribute(&mut self) -> Option<Attribute> {
        let (mut value, mut data_type) = (String::new(), String::new());
        self.object(|json| {
            let part = if json.skip("\"StringValue\":") {
                &mut value
            } else {
                json.expect("\"DataType\":")?;
                &mut data_type
            };
            *part = json.text()?.into();
            Some(())
        })?;
        Some(Attribute::new(&data_type, AttributeValue::Text(value)))
    }

    /// Reads an object with at least one field, each with `field`.
    fn object(&mut self, field: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.expect("{")?;
        self.entries(field)?;
        self.expect("}")
    }

    /// Reads a list, each element with `element`.
    fn list(&mut self, element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.expect("[")?;
        self.skip_spaces();
        if self.skip("]") {
            return Some(());
        }
        self.entries(element)?;
        self.expect("]")
    }

    fn entries(&mut self, mut entry: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        loop {
            self.skip_spaces();
            entry(self)?;
            if !self.skip(",") {
                return Some(());
            }
        }
    }

    fn skip_spaces(&mut self) {
        while self.skip(" ") {}
    }

    fn skip(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, token: &str) -> Option<()> {
        self.skip_spaces();
        self.skip(token).then_some(())
    }

    fn text(&mut self) -> Option<&str> {
        self.expect("\"")?;
        let (text, rest) = self.rest.split_at(next_special(self.rest, 0)?);
        self.rest = rest;
        if self.skip("\"") {
            return Some(text);
        }
        self.unescaped.clear();
        self.unescaped.push_str(text);
        while !self.skip("\"") {
            let literal = self.escape()?;
            let (text, rest) = self.rest.split_at(next_special(self.rest, literal)?);
            self.unescaped.push_str(text);
            self.rest = rest;
        }
        Some(&self.unescaped)
    }

    /// Reads an escape. If its character stands for itself, returns its length, and leaves it to be read with the text after it.
    fn escape(&mut self) -> Option<usize> {
        let (character, length) = match self.rest.as_bytes().get(1)? {
            b'"' | b'\\' | b'/' => {
                self.rest = &self.rest[1..];
                return Some(1);
            }
            b'b' => ('\u{8}', 2),
            b'f' => ('\u{c}', 2),
            b'n' => ('\n', 2),
            b'r' => ('\r', 2),
            b't' => ('\t', 2),
            b'u' => (character(self.rest.get(2..6)?)?, 6),
            _ => return None,
        };
        self.unescaped.push(character);
        self.rest = &self.rest[length..];
        Some(0)
    }
}

fn millis(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_millis)
}

/// Returns the position of the first quote or backslash that is not among the first `literal` bytes.
fn next_special(text: &str, literal: usize) -> Option<usize> {
    memchr2(b'"', b'\\', &text.as_bytes()[literal..]).map(|position| literal + position)
}

/// Returns the character of four hexadecimal digits. `None` for half of a surrogate pair.
fn character(digits: &str) -> Option<char> {
    // The parser would accept a sign.
    let is_number = !digits.starts_with('+');
    is_number.then(|| u32::from_str_radix(digits, 16).ok()).flatten().and_then(char::from_u32)
}

#[cfg(test)]
#[path = "usual_tests.rs"]
mod tests;
