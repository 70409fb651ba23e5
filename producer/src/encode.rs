//! Encodes a job as JSON that its worker can read.

use drumline::Job;
use drumline::message::from_json;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_path_to_error::{Path, Track};

use crate::error::Refusal;

/// Returns a job's payload. Refuses a payload that cannot be decoded as the same type, because it would fail in every worker.
pub(crate) fn encode<J: Job + Serialize>(job: &J) -> Result<Box<RawValue>, Refusal> {
    let payload = to_raw_value(job).map_err(|error| {
        let problem = without_value(&error);
        let reason =
            format!("it cannot be written as JSON: {problem}; change the type's fields or its Serialize");
        Refusal::new(J::TYPE, place_written(job), reason)
    })?;
    match from_json::<J>(payload.get()) {
        Ok(_) => Ok(payload),
        Err(error) => {
            let problem = without_value(&error);
            let reason = format!(
                "no worker could read it: {problem}; make Serialize and Deserialize of the type agree, or change the value"
            );
            Err(Refusal::new(J::TYPE, place_read::<J>(payload.get()), reason))
        }
    }
}

/// The error texts of serde and `serde_json` that contain no values.
const SAFE_STARTS: [&str; 5] = [
    "missing field `",
    "duplicate field `",
    "data did not match any variant of ",
    "key must be a string",
    "float key must be finite",
];

/// The notations of values in serde's texts.
const FORMS: [&str; 12] = [
    "boolean",
    "integer",
    "floating point",
    "number",
    "character",
    "string",
    "byte array",
    "unit value",
    "null",
    "Option value",
    "sequence",
    "map",
];

/// Returns an error's text without the value, which must not be logged.
fn without_value(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if SAFE_STARTS.iter().any(|start| text.starts_with(start)) {
        return text;
    }
    let known = |problem: &&str| text.starts_with(*problem);
    let problems = ["invalid type", "invalid value", "invalid length", "unknown variant", "unknown field"];
    // The last match counts, because the value may contain the same words.
    match (problems.into_iter().find(known), text.rsplit_once(", expected ")) {
        (Some(problem), Some((found, expected))) => {
            let found = found[problem.len()..].trim_start_matches([':', ' ']);
            let form = FORMS.iter().find(|form| {
                found.strip_prefix(**form).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
            });
            match form {
                Some(form) => format!("{problem}: {form}, expected {expected}"),
                None => format!("{problem}, expected {expected}"),
            }
        }
        // The text comes from the type, and may contain anything.
        _ => "the type refuses its value".to_owned(),
    }
}

/// Returns the field whose value cannot be written.
fn place_written<J: Serialize>(job: &J) -> String {
    let mut track = Track::new();
    let mut json = serde_json::Serializer::new(std::io::sink());
    match job.serialize(serde_path_to_error::Serializer::new(&mut json, &mut track)) {
        Ok(()) => place(None),
        Err(_) => place(Some(&track.path())),
    }
}

/// Returns the field whose value cannot be read.
fn place_read<J: Job>(payload: &str) -> String {
    let mut json = serde_json::Deserializer::from_str(payload);
    match serde_path_to_error::deserialize::<_, J>(&mut json) {
        Ok(_) => place(None),
        Err(error) => place(Some(error.path())),
    }
}

fn place(path: Option<&Path>) -> String {
    let path = path.map(ToString::to_string).filter(|path| path != ".").unwrap_or_default();
    match path.chars().next() {
        None => "payload".to_owned(),
        Some('[') => format!("payload{path}"),
        Some(_) => format!("payload.{path}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Serialize, Deserialize)]
    struct Odd {
        items: Vec<Item>,
        #[serde(skip_serializing_if = "String::is_empty")]
        name: String,
        by_place: BTreeMap<String, f64>,
        #[serde(default, serialize_with = "as_pairs")]
        pairs: BTreeMap<(u8, u8), u8>,
    }

    #[derive(Debug, Serialize, Deserialize)]
    struct Item {
        #[serde(serialize_with = "as_text")]
        count: u32,
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn as_text<S: serde::Serializer>(count: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        if *count == 0 { serializer.serialize_str("none") } else { serializer.serialize_u32(*count) }
    }

    fn as_pairs<S: serde::Serializer>(
        pairs: &BTreeMap<(u8, u8), u8>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        pairs.serialize(serializer)
    }

    impl Job for Odd {
        const TYPE: &'static str = "odd";
    }

    /// Writes its fields as a list, which no worker accepts as a struct.
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only its form counts")]
    struct AsList {
        a: u8,
    }

    impl Serialize for AsList {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            [self.a].serialize(serializer)
        }
    }

    impl Job for AsList {
        const TYPE: &'static str = "list";
    }

    /// Writes its fields in forms that it cannot read.
    #[derive(Debug, Default, Deserialize)]
    #[allow(dead_code, reason = "only its forms count")]
    struct Login {
        #[serde(default)]
        pin: u32,
        #[serde(default)]
        kind: Kind,
        #[serde(default, deserialize_with = "refuse")]
        token: String,
    }

    #[derive(Debug, Default, Deserialize)]
    enum Kind {
        #[default]
        Plain,
    }

    fn refuse<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        let text = String::deserialize(deserializer)?;
        Err(serde::de::Error::custom(format!("{text} is no token")))
    }

    struct Written(serde_json::Value);

    impl<'de> Deserialize<'de> for Written {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Login::deserialize(deserializer).map(|_| Self(serde_json::Value::Null))
        }
    }

    impl Serialize for Written {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.serialize(serializer)
        }
    }

    impl Job for Written {
        const TYPE: &'static str = "login";
    }

    #[test]
    fn a_refusal_names_the_field_and_expectation_but_not_the_value() {
        let table = [
            (serde_json::json!({ "pin": "hunter2" }), "payload.pin", "invalid type: string, expected u32"),
            (
                serde_json::json!({ "pin": "hunter2, expected hunter2" }),
                "payload.pin",
                "string, expected u32",
            ),
            (serde_json::json!({ "pin": -77_777 }), "payload.pin", "invalid value: integer, expected u32"),
            (serde_json::json!({ "kind": "hunter2" }), "payload.kind", "unknown variant, expected `Plain`"),
            (serde_json::json!({ "token": "hunter2" }), "payload.token", "the type refuses its value"),
        ];
        for (value, field, says) in table {
            let refusal = encode(&Written(value)).unwrap_err();
            assert_eq!(refusal.field, field);
            assert!(refusal.reason.contains(says), "{refusal}");
            assert!(!refusal.to_string().contains("hunter2") && !refusal.reason.contains("77"), "{refusal}");
        }
    }

    #[test]
    fn a_payload_that_no_worker_can_read_is_refused_by_its_field() {
        let sound = || Odd { name: "Ada".to_owned(), ..Odd::default() };
        let table = [
            (sound(), None),
            (Odd { items: vec![Item { count: 1 }], ..sound() }, None),
            (Odd::default(), Some(("payload", "missing field `name`"))),
            (
                Odd { items: vec![Item { count: 1 }, Item { count: 0 }], ..sound() },
                Some(("payload.items[1].count", "expected u32")),
            ),
            (
                Odd { by_place: [("first".to_owned(), f64::NAN)].into(), ..sound() },
                Some(("payload.by_place.first", "null")),
            ),
            (
                Odd { pairs: [((1, 2), 3)].into(), ..sound() },
                Some(("payload.pairs", "key must be a string; change the type")),
            ),
        ];
        for (job, refused) in table {
            let result = encode(&job).map(drop);
            match refused {
                None => assert_eq!(result, Ok(()), "{job:?}"),
                Some((field, says)) => {
                    let refusal = result.unwrap_err();
                    assert_eq!((&*refusal.job_type, &*refusal.field), ("odd", field));
                    assert!(refusal.reason.contains(says), "{refusal}");
                }
            }
        }
        let refusal = encode(&AsList { a: 1 }).unwrap_err();
        assert_eq!(refusal.field, "payload");
        assert!(refusal.reason.contains("expected a JSON object"), "{refusal}");
    }
}
