//! Reads requests and policies, which must be JSON objects. A derived `Deserialize` would also accept an array, by position.

use serde::de::{DeserializeOwned, Error};

/// Reads a JSON object.
pub(crate) fn from_object<T: DeserializeOwned>(json: &[u8]) -> Result<T, serde_json::Error> {
    if json.trim_ascii_start().starts_with(b"[") {
        return Err(Error::custom("an array is not an object"));
    }
    serde_json::from_slice(json)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Pair {
        one: u8,
        other: u8,
    }

    #[test]
    fn an_array_is_no_object() {
        let pair: Pair = from_object(br#" {"one":1,"other":2}"#).unwrap();
        assert_eq!((pair.one, pair.other), (1, 2));
        for json in ["[1,2]", " [1,2]", "[]"] {
            assert!(from_object::<Pair>(json.as_bytes()).is_err(), "{json}");
        }
    }
}
