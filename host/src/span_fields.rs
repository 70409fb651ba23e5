//! The fields of a span, kept until a line needs them.
//!
//! Every attempt has a span, and most attempts log no line inside it, so the cost of keeping its fields is the cost of the
//! span.

use std::fmt::{Debug, Write as _};
use std::ops::Range;

use drumline::message::Traceparent;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Record};

use crate::trace_fields::trace_in;

/// The capacity for the fields of most attempts.
const USUAL_FIELDS: usize = 8;
const USUAL_BYTES: usize = 256;

/// The fields of a span that have a value, in order.
#[derive(Debug)]
pub(crate) struct SpanFields {
    fields: Vec<(&'static str, Kept)>,
    /// All texts, one after the other.
    texts: String,
}

/// A value as it was recorded.
#[derive(Debug, Clone, PartialEq)]
enum Kept {
    /// The place in `texts`.
    Text(Range<usize>),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
}

/// A value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum FieldValue<'a> {
    Text(&'a str),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
}

impl SpanFields {
    /// Returns the fields of a new span.
    pub(crate) fn of(attributes: &Attributes<'_>) -> Self {
        let mut fields =
            Self { fields: Vec::with_capacity(USUAL_FIELDS), texts: String::with_capacity(USUAL_BYTES) };
        attributes.record(&mut Adding(&mut fields));
        fields
    }

    /// Adds fields that are recorded later. Each replaces an earlier one with the same name.
    pub(crate) fn add(&mut self, values: &Record<'_>) {
        values.record(&mut Replacing(self));
    }

    /// Returns the fields, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, FieldValue<'_>)> {
        self.fields.iter().map(|(name, value)| (*name, self.value(value)))
    }

    /// Returns the trace in a field.
    pub(crate) fn trace(&self) -> Option<Traceparent> {
        let found = self.iter().filter_map(|(name, value)| match value {
            FieldValue::Text(text) => trace_in(name, text),
            _ => None,
        });
        found.last()
    }

    fn value<'a>(&'a self, value: &Kept) -> FieldValue<'a> {
        match *value {
            Kept::Text(ref place) => FieldValue::Text(&self.texts[place.clone()]),
            Kept::Unsigned(value) => FieldValue::Unsigned(value),
            Kept::Signed(value) => FieldValue::Signed(value),
            Kept::Float(value) => FieldValue::Float(value),
            Kept::Bool(value) => FieldValue::Bool(value),
        }
    }

    fn keep_text(&mut self, text: &str) -> Kept {
        let start = self.texts.len();
        self.texts.push_str(text);
        Kept::Text(start..self.texts.len())
    }

    fn keep_debug(&mut self, value: &dyn Debug) -> Kept {
        let start = self.texts.len();
        // Writing into a string cannot fail, and if a value fails, the text written before is all of it.
        let _ = write!(self.texts, "{value:?}");
        Kept::Text(start..self.texts.len())
    }

    fn push(&mut self, field: &Field, value: Kept) {
        self.fields.push((field.name(), value));
    }

    /// Adds a field, or replaces the one with the same name.
    fn set(&mut self, field: &Field, value: Kept) {
        match self.fields.iter_mut().find(|(name, _)| *name == field.name()) {
            Some((_, before)) => {
                if let Kept::Text(_) = std::mem::replace(before, value) {
                    self.drop_replaced_texts();
                }
            }
            None => self.push(field, value),
        }
    }

    /// Keeps only texts of fields: a span may live long, and record a field again and again.
    fn drop_replaced_texts(&mut self) {
        let all = std::mem::take(&mut self.texts);
        for (_, value) in &mut self.fields {
            if let Kept::Text(place) = value {
                let start = self.texts.len();
                self.texts.push_str(&all[place.clone()]);
                *place = start..self.texts.len();
            }
        }
    }
}

macro_rules! visit {
    ($visitor:ident, $add:ident) => {
        impl Visit for $visitor<'_> {
            fn record_str(&mut self, field: &Field, value: &str) {
                let value = self.0.keep_text(value);
                self.0.$add(field, value);
            }

            fn record_u64(&mut self, field: &Field, value: u64) {
                self.0.$add(field, Kept::Unsigned(value));
            }

            fn record_i64(&mut self, field: &Field, value: i64) {
                self.0.$add(field, Kept::Signed(value));
            }

            fn record_f64(&mut self, field: &Field, value: f64) {
                self.0.$add(field, Kept::Float(value));
            }

            fn record_bool(&mut self, field: &Field, value: bool) {
                self.0.$add(field, Kept::Bool(value));
            }

            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                let value = self.0.keep_debug(value);
                self.0.$add(field, value);
            }
        }
    };
}

/// Adds the fields of a new span, all of which are new.
struct Adding<'a>(&'a mut SpanFields);
visit!(Adding, push);

/// Adds fields to those of a span.
struct Replacing<'a>(&'a mut SpanFields);
visit!(Replacing, set);

#[cfg(test)]
mod tests {
    use tracing::info_span;
    use tracing_subscriber::Registry;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::registry::LookupSpan;

    use super::*;
    use crate::json_lines::JsonLines;
    use crate::logging::Spans;

    #[test]
    fn a_field_that_is_recorded_again_and_again_takes_no_more_room() {
        let json = JsonLines::new(Spans::Innermost, std::io::sink);
        let subscriber = tracing_subscriber::registry().with(json);
        tracing::subscriber::with_default(subscriber, || {
            let span = info_span!("import", file = "a.csv", step = "read", row = 0);
            for row in 0..1_000 {
                span.record("step", if row % 2 == 0 { "write" } else { "read" }).record("row", row);
            }
            span.with_subscriber(|(id, dispatch)| {
                let registry = dispatch.downcast_ref::<Registry>().expect("a registry");
                let span = registry.span(id).expect("it is open");
                let extensions = span.extensions();
                let fields = extensions.get::<SpanFields>().expect("they are kept");
                let texts =
                    [("file", "a.csv"), ("step", "read")].map(|(name, text)| (name, FieldValue::Text(text)));
                let expected = texts.into_iter().chain([("row", FieldValue::Signed(999))]);
                assert_eq!(fields.iter().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
                assert_eq!(fields.texts, "a.csvread");
            })
            .expect("it has a subscriber");
        });
    }
}
