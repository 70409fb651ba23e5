//! Detects objects with a repeated name. Readers differ on which value counts, and the guards would see only one of them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use drumline_contract::guards::{field, push_name};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::unsendable::Unsendable;

/// Accepts a body in which no object has a repeated name. A body that is not JSON has no objects.
pub(crate) fn check_names(body: &str) -> Result<(), Unsendable> {
    let mut search = Search::default();
    // Any other error is a JSON error, which the decoder reports.
    let _ = Names(&mut search).deserialize(&mut serde_json::Deserializer::from_str(body));
    if !search.is_found {
        return Ok(());
    }
    let mut pointer = String::new();
    search.path.iter().rev().for_each(|name| push_name(&mut pointer, name));
    let reason =
        "the name is in its object more than once, and readers differ on which value counts: write it once";
    Err(Unsendable::new(field("", &pointer), reason))
}

#[derive(Default)]
struct Search {
    /// True if a repeated name was found, which ends the search.
    is_found: bool,
    /// The path to the repeated name, from the inside to the outside: it costs nothing before.
    path: Vec<String>,
}

struct Names<'s>(&'s mut Search);

/// A name, borrowed from the text if it has no escapes.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> DeserializeSeed<'de> for Names<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! visit {
    ($($method:ident($type:ty)),*) => {$(
        fn $method<E>(self, _: $type) -> Result<(), E> {
            Ok(())
        }
    )*};
}

impl<'de> Visitor<'de> for Names<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    visit!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut index = 0_usize;
        loop {
            match items.next_element_seed(Names(self.0)) {
                Ok(Some(())) => index += 1,
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.0.path.push(index.to_string());
                    return Err(error);
                }
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut names = BTreeSet::new();
        while let Some(name) = fields.next_key::<Name<'de>>()? {
            if names.contains(&name) {
                self.0.is_found = true;
                self.0.path.push(name.0.into_owned());
                return Err(A::Error::custom("a name twice"));
            }
            if let Err(error) = fields.next_value_seed(Names(self.0)) {
                self.0.path.push(name.0.into_owned());
                return Err(error);
            }
            names.insert(name);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_that_is_repeated_is_named() {
        let table = [
            (r#"{"type":"a","payload":{"k":"x","k":"y"}}"#, "payload.k"),
            (r#"{"type":"a","payload":{"k":1,"\u006b":2}}"#, "payload.k"),
            (r#"{"type":"a","payload":[{},{"a":{"b c":[],"b c":{}}}]}"#, "payload[1].a[\"b c\"]"),
            (r#"{"type":"a","payload":{},"type":"b"}"#, "type"),
            (r#"{"type":"a","payload":{},"note":{"x":1,"x":1}}"#, "note.x"),
            (r#"{"type":"a","payload":{"ada@example.com":1,"ada@example.com":1}}"#, "payload.*"),
            (r#"{"k":1,"k":2"#, "k"),
        ];
        for (body, expected) in table {
            let refused = check_names(body).unwrap_err();
            assert_eq!(refused.field, expected, "{body}");
            assert!(refused.reason.contains("more than once"), "{refused}");
        }
    }

    #[test]
    fn other_texts_pass() {
        let deep = "[".repeat(10_000);
        for body in [
            r#"{"a":{"a":{"a":[{"a":1},{"a":1}]}},"A":1,"b":-1.5,"c":null,"d":true,"e":"é\n"}"#,
            "7",
            "",
            "{",
            "{\"a\":1,",
            "k=1&k=2",
            &deep,
        ] {
            assert_eq!(check_names(body), Ok(()), "{body:.60}");
        }
    }
}
