//! The fields of spans as JSON, written in one go.
//!
//! Every attempt has a span, and most attempts log nothing inside it: what its fields cost is what an attempt's logging
//! costs. The stock formatter gathers them in a map first, which takes several times as long as all else that is done
//! for a short job.

use std::fmt::{self, Debug, Display, Write as _};

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormattedFields;
use tracing_subscriber::fmt::format::{FormatFields, Writer};

/// Writes `{"name":value,…}`.
pub(crate) struct SpanFields;

/// Room for the fields of most attempts.
const USUAL_BYTES: usize = 384;

impl<'writer> FormatFields<'writer> for SpanFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        // In pieces into a string, since the writer takes much longer for each piece.
        let mut text = String::with_capacity(USUAL_BYTES);
        text.push('{');
        fields.record(&mut Fields { text: &mut text, first: true });
        text.push('}');
        writer.write_str(&text)
    }

    fn add_fields(&self, current: &'writer mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        let text = &mut current.fields;
        if text.pop() != Some('}') {
            return Err(fmt::Error);
        }
        let first = text.as_str() == "{";
        fields.record(&mut Fields { text, first });
        text.push('}');
        Ok(())
    }
}

struct Fields<'a> {
    text: &'a mut String,
    first: bool,
}

impl Fields<'_> {
    fn name(&mut self, field: &Field) {
        if !std::mem::take(&mut self.first) {
            self.text.push(',');
        }
        let name = field.name();
        // Short, and so looked at byte by byte.
        if name.bytes().any(needs_escape) {
            self.string(name);
            self.text.push(':');
        } else {
            self.text.push('"');
            self.text.push_str(name);
            self.text.push_str("\":");
        }
    }

    fn plain(&mut self, field: &Field, value: impl Display) {
        self.name(field);
        let _ = write!(self.text, "{value}");
    }

    fn string(&mut self, text: &str) {
        // One look at all of it, many bytes at a time: hardly any value has something to escape.
        if text.bytes().fold(false, |found, byte| found | needs_escape(byte)) {
            self.text.push_str(&Value::from(text).to_string());
        } else {
            self.text.push('"');
            self.text.push_str(text);
            self.text.push('"');
        }
    }
}

fn needs_escape(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\') || byte.is_ascii_control()
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        self.string(value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.name(field);
        self.string(&format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn logs_inside_a_span_carry_its_fields_whatever_is_in_them() {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer().json().fmt_fields(SpanFields);
        let layer = layer.with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let odd = "a \"quoted\" \\ and\nbroken\u{1} \u{1F600}";
            let span = tracing::info_span!(
                "attempt",
                message_id = odd,
                attempt = 3_u32,
                left = -1,
                fifo = true,
                place = ?Some(1),
                ending = tracing::field::Empty,
            );
            span.record("ending", "done");
            span.in_scope(|| tracing::info!("inside"));
            tracing::info_span!("empty", ending = tracing::field::Empty)
                .in_scope(|| tracing::info!("inside"));
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let logged: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let span = &logged[0]["span"];
        assert_eq!(span["message_id"], "a \"quoted\" \\ and\nbroken\u{1} \u{1F600}");
        assert_eq!((&span["attempt"], &span["left"], &span["fifo"]), (&3.into(), &(-1).into(), &true.into()));
        assert_eq!((&span["place"], &span["ending"]), (&"Some(1)".into(), &"done".into()));
        assert_eq!(logged[1]["span"]["name"], "empty");
    }
}
