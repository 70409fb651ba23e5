//! The fields of spans as JSON, written in one go.
//!
//! Every attempt has a span, and most attempts log nothing inside it: what its fields cost is what an attempt's logging
//! costs. The stock formatter gathers them in a map first, which takes several times as long as all else that is done
//! for a short job.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormattedFields;
use tracing_subscriber::fmt::format::{FormatFields, Writer};

/// Writes `{"name":value,…}`.
pub(crate) struct SpanFields;

impl<'writer> FormatFields<'writer> for SpanFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        writer.write_char('{')?;
        let mut visitor = Fields { writer: &mut writer, first: true, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result?;
        writer.write_char('}')
    }

    fn add_fields(&self, current: &'writer mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        let text = &mut current.fields;
        if text.pop() != Some('}') {
            return Err(fmt::Error);
        }
        let first = text.as_str() == "{";
        let mut visitor = Fields { writer: text, first, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result?;
        text.push('}');
        Ok(())
    }
}

struct Fields<'a, W> {
    writer: &'a mut W,
    first: bool,
    result: fmt::Result,
}

impl<W: Write> Fields<'_, W> {
    fn field(&mut self, field: &Field, write: impl FnOnce(&mut W) -> fmt::Result) {
        if self.result.is_ok() {
            self.result = self.try_field(field, write);
        }
    }

    fn try_field(&mut self, field: &Field, write: impl FnOnce(&mut W) -> fmt::Result) -> fmt::Result {
        if !std::mem::take(&mut self.first) {
            self.writer.write_char(',')?;
        }
        string(self.writer, field.name())?;
        self.writer.write_char(':')?;
        write(self.writer)
    }
}

impl<W: Write> Visit for Fields<'_, W> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, |writer| string(writer, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, |writer| write!(writer, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, |writer| write!(writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, |writer| write!(writer, "{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.field(field, |writer| string(writer, &format!("{value:?}")));
    }
}

/// A JSON string; what needs no escape goes out in long pieces.
fn string(writer: &mut impl Write, text: &str) -> fmt::Result {
    writer.write_char('"')?;
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '\\' || c.is_ascii_control()) {
        let (plain, special) = rest.split_at(at);
        writer.write_str(plain)?;
        let mut characters = special.chars();
        match characters.next() {
            Some(c @ ('"' | '\\')) => write!(writer, "\\{c}")?,
            Some(c) => write!(writer, "\\u{:04x}", u32::from(c))?,
            None => {}
        }
        rest = characters.as_str();
    }
    writer.write_str(rest)?;
    writer.write_char('"')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::Value;
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
