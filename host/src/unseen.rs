//! Characters that control a terminal or hide parts of a text: ids, reasons and bodies are written by producers.

use std::fmt::{self, Write as _};
use std::io;

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter};
use tracing::field::Field;
use tracing_subscriber::fmt::format::Writer;

/// Returns true for control characters and for the marks that change the direction of text. See [Trojan
/// Source](https://trojansource.codes).
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Writes a value as JSON on one line. The characters of [`is_unseen`] are escaped in texts, which mean the same.
///
/// # Errors
/// Those of the writer, and of a value that is no JSON.
pub fn write_json(out: impl io::Write, value: &impl Serialize) -> serde_json::Result<()> {
    value.serialize(&mut Serializer::with_formatter(out, Escaped))
}

/// Writes JSON like [`CompactFormatter`], with more escapes.
struct Escaped;

impl Formatter for Escaped {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|&(_, c)| is_unseen(c)) {
            CompactFormatter.write_string_fragment(writer, &rest[..at])?;
            // All of them have 16 bits.
            write!(writer, "\\u{:04x}", u32::from(c))?;
            rest = &rest[at + c.len_utf8()..];
        }
        CompactFormatter.write_string_fragment(writer, rest)
    }
}

/// Writes a field of a log line for people.
pub(crate) fn log_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let name = field.name();
    if name != "message" {
        if writer.has_ansi_escapes() {
            write!(writer, "\u{1b}[3m{name}\u{1b}[0m\u{1b}[2m=\u{1b}[0m")?;
        } else {
            write!(writer, "{name}=")?;
        }
    }
    write!(Visible(writer), "{value:?}")
}

/// Writes the characters of [`is_unseen`] in Rust's form: `\u{202e}`.
struct Visible<'a, 'writer>(&'a mut Writer<'writer>);

impl fmt::Write for Visible<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(is_unseen) {
            let end = part.chars().next_back().filter(|&c| is_unseen(c));
            self.0.write_str(&part[..part.len() - end.map_or(0, char::len_utf8)])?;
            if let Some(c) = end {
                write!(self.0, "{}", c.escape_unicode())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::field::MakeExt as _;
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::fmt::format::debug_fn;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    const HOSTILE: [char; 17] = [
        '\0', '\u{7}', '\n', '\r', '\t', '\u{1b}', '\u{7f}', '\u{85}', '\u{9b}', '\u{200E}', '\u{200F}',
        '\u{202A}', '\u{202D}', '\u{202E}', '\u{2066}', '\u{2069}', '\u{061C}',
    ];

    #[test]
    fn hostile_characters_are_seen_and_others_are_not_touched() {
        for c in HOSTILE {
            assert!(is_unseen(c), "{c:?}");
            let mut json = Vec::new();
            let text = format!("a{c}b");
            write_json(&mut json, &serde_json::json!({ "k": text })).unwrap();
            let json = String::from_utf8(json).unwrap();
            assert!(!json.contains(is_unseen), "{c:?}: {json:?}");
            let again: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!(again["k"], *text, "it means the same");
        }
        for c in ['a', ' ', 'ä', '😀', '\u{200D}', 'א', 'ع', '"', '\\'] {
            assert!(!is_unseen(c), "{c:?}");
            let mut json = Vec::new();
            write_json(&mut json, &format!("a{c}b")).unwrap();
            assert_eq!(json, serde_json::to_vec(&format!("a{c}b")).unwrap());
        }
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_log_line_for_people_stays_one_harmless_line() {
        let lines = Lines::default();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(lines.clone())
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .fmt_fields(debug_fn(log_field).delimited(" "));
        let hostile: String = HOSTILE.iter().collect();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let span = tracing::info_span!("attempt", id = %hostile);
            let _entered = span.enter();
            tracing::info!(reason = %hostile, text = &*hostile, debug = ?hostile, n = 7, "message {hostile} end");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let line = text.strip_suffix('\n').unwrap();
        assert!(!line.contains(is_unseen), "{line:?}");
        for part in
            ["attempt{id=", " INFO ", "message \\u{0}", " n=7", "reason=", "\\u{202e}", "\\u{1b}", " end "]
        {
            assert!(line.contains(part), "{part:?} in {line}");
        }
    }
}
