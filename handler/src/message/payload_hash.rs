//! A hash that is equal for payloads with the same values, regardless of how they were written.
//!
//! A producer that sends a job twice may order its keys differently, and a service on the way may rewrite a payload (escapes,
//! blanks, `1.0` for `1`). So values are hashed, not texts: the entries of an object in any order.
//!
//! By XXH3, because every job is hashed. It guards against producers' mistakes, not against an attacker who searches for two
//! payloads with one hash: a sender of jobs with other producers' keys can do worse.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Returns the hash of a job's type and its payload. It is the same in every build and on every machine, because stores keep
/// it. A payload that is not JSON is hashed as bytes.
pub fn payload_hash(job_type: &str, payload: &str) -> u128 {
    let value = match serde_json::from_str::<Hashed>(payload) {
        Ok(Hashed(value)) => value,
        Err(_) => leaf(Kind::Raw, payload.as_bytes()),
    };
    pair(Kind::Whole, leaf(Kind::Text, job_type.as_bytes()), value)
}

/// The kind of a value is hashed with it, so that `"1"` differs from `1`. The numbers are part of the hash: never change one.
#[derive(Clone, Copy)]
enum Kind {
    Whole = 0,
    Null = 1,
    Bool = 2,
    Integer = 3,
    Float = 4,
    Text = 5,
    Array = 6,
    Object = 7,
    Raw = 8,
}

fn leaf(kind: Kind, bytes: &[u8]) -> u128 {
    xxh3_128_with_seed(bytes, kind as u64)
}

fn pair(kind: Kind, one: u128, other: u128) -> u128 {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&one.to_le_bytes());
    bytes[16..].copy_from_slice(&other.to_le_bytes());
    leaf(kind, &bytes)
}

struct Hashed(u128);

impl<'de> Deserialize<'de> for Hashed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Values).map(Self)
    }
}

/// A key, hashed while it is read, without a copy.
struct HashedKey(u128);

impl<'de> Deserialize<'de> for HashedKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Values).map(Self)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = u128;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<u128, E> {
        Ok(leaf(Kind::Null, &[]))
    }

    fn visit_bool<E>(self, value: bool) -> Result<u128, E> {
        Ok(leaf(Kind::Bool, &[u8::from(value)]))
    }

    fn visit_i64<E>(self, value: i64) -> Result<u128, E> {
        Ok(leaf(Kind::Integer, &i128::from(value).to_le_bytes()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<u128, E> {
        Ok(leaf(Kind::Integer, &i128::from(value).to_le_bytes()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<u128, E> {
        /// Up to here every whole number has a separate float.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if value.fract() == 0.0 && value.abs() <= EXACT {
            #[allow(clippy::cast_possible_truncation, reason = "a whole number within the bounds of an i64")]
            let whole = i128::from(value as i64);
            return Ok(leaf(Kind::Integer, &whole.to_le_bytes()));
        }
        Ok(leaf(Kind::Float, &value.to_bits().to_le_bytes()))
    }

    fn visit_str<E>(self, value: &str) -> Result<u128, E> {
        Ok(leaf(Kind::Text, value.as_bytes()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<u128, A::Error> {
        let mut array = leaf(Kind::Array, &[]);
        while let Some(Hashed(item)) = items.next_element()? {
            array = pair(Kind::Array, array, item);
        }
        Ok(array)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<u128, A::Error> {
        let mut sum = 0_u128;
        while let Some((HashedKey(key), Hashed(value))) = entries.next_entry()? {
            // A sum does not depend on the order of its parts.
            sum = sum.wrapping_add(pair(Kind::Object, key, value));
        }
        Ok(leaf(Kind::Object, &sum.to_le_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notation_does_not_matter() {
        let one = r#"{"a":1,"b":[1.5,true,null,"é\n"],"c":{"x":"","y":-2}}"#;
        let same =
            "{ \"c\" : {\"y\":-2.0,\"x\":\"\"}, \"b\":[15e-1,true,null,\"\\u00e9\\u000a\"], \"a\":1.0 }";
        assert_eq!(payload_hash("t", one), payload_hash("t", same));
    }

    #[test]
    fn whatever_differs_matters() {
        let payloads = [
            "null",
            "true",
            "false",
            "0",
            "1",
            "-1",
            "1.5",
            "18446744073709551615",
            "1e300",
            "\"\"",
            "\"1\"",
            "\"null\"",
            "[]",
            "[1]",
            "[1,2]",
            "[2,1]",
            "[[1],2]",
            "[1,[2]]",
            "{}",
            r#"{"a":1}"#,
            r#"{"a":2}"#,
            r#"{"b":1}"#,
            r#"{"a":1,"b":2}"#,
            r#"{"a":2,"b":1}"#,
            r#"{"a":{"b":1}}"#,
            r#"[{"a":1},{"b":2}]"#,
            "no json",
            "",
        ];
        let mut seen = std::collections::HashMap::new();
        for payload in payloads {
            for job_type in ["t", "u"] {
                let before = seen.insert(payload_hash(job_type, payload), (job_type, payload));
                assert_eq!(before, None, "as {job_type} {payload}");
            }
        }
    }

    #[test]
    fn stores_keep_it_so_it_never_changes() {
        let hash = payload_hash("email.send", r#"{"to":["a","b"],"n":1.5}"#);
        assert_eq!(format!("{hash:032x}"), "5a1b15101c8561b0f2157d736ebc5ca0");
        // Long texts are hashed in another way than short ones.
        let hash = payload_hash("email.send", &format!("\"{}\"", "long ".repeat(100)));
        assert_eq!(format!("{hash:032x}"), "6510f674cd996fb8e6ce454b5e8887ae");
    }
}
