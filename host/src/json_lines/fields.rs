//! Fields as JSON.

use std::fmt::{self, Debug, Display, Write as _};

use serde_json::Value;
use tracing::field::{Field, Visit};

/// Writes fields as `"name":value`, with commas between them.
pub(super) struct Fields<'a> {
    line: &'a mut String,
    is_first: bool,
}

impl<'a> Fields<'a> {
    /// Writes the first fields of an object.
    pub(super) fn first(line: &'a mut String) -> Self {
        Self { line, is_first: true }
    }

    /// Writes fields behind other ones.
    pub(super) fn after_others(line: &'a mut String) -> Self {
        Self { line, is_first: false }
    }

    /// Writes a text.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.line.push('"');
        push_escaped(self.line, value);
        self.line.push('"');
    }

    /// Writes a number. The formatter would take several times as long.
    pub(super) fn integer(&mut self, name: &str, value: impl itoa::Integer) {
        self.name(name);
        self.line.push_str(itoa::Buffer::new().format(value));
    }

    /// Writes a value whose text is JSON already.
    pub(super) fn plain(&mut self, name: &str, value: impl Display) {
        self.name(name);
        let _ = write!(self.line, "{value}");
    }

    fn name(&mut self, name: &str) {
        self.line.push_str(if std::mem::take(&mut self.is_first) { "\"" } else { ",\"" });
        push_escaped(self.line, name);
        self.line.push_str("\":");
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.integer(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.integer(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.plain(field.name(), Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.name(field.name());
        self.line.push('"');
        let _ = write!(Escaped(self.line), "{value:?}");
        self.line.push('"');
    }
}

/// Writes texts with the escapes of JSON.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        push_escaped(self.0, text);
        Ok(())
    }
}

fn push_escaped(line: &mut String, text: &str) {
    if may_need_escapes(text.as_bytes()) {
        let quoted = Value::from(text).to_string();
        line.push_str(&quoted[1..quoted.len() - 1]);
    } else {
        line.push_str(text);
    }
}

/// Looks at sixteen bytes at a time, since hardly any text has something to escape.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "without branches, so that a block is looked at by one instruction"
)]
fn may_need_escapes(text: &[u8]) -> bool {
    const BLOCK: usize = 16;
    let has_escape = |block: &[u8; BLOCK]| {
        block.iter().fold(false, |found, &byte| found | (byte == b'"') | (byte == b'\\') | (byte < b' '))
    };
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    let mut last = [b' '; BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    blocks.iter().any(has_escape) || has_escape(&last)
}
