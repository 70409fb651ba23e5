//! Names as keys of an AsyncAPI document: letters, digits, `.`, `-` and `_`.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Returns a name as a key. A character that is not allowed in keys becomes its number.
pub(super) fn key(name: &str) -> String {
    let mut key = String::with_capacity(name.len());
    for character in name.chars() {
        if character.is_ascii_alphanumeric() || "._-".contains(character) {
            key.push(character);
        } else {
            write!(key, "_x{:x}_", u32::from(character)).expect("a string takes all");
        }
    }
    key
}

/// Returns the key, with a number appended if it is taken.
pub(super) fn unique(key: &str, taken: &Map<String, Value>) -> String {
    let numbered = (2..).map(|number| format!("{key}-{number}"));
    let mut keys = std::iter::once(key.to_owned()).chain(numbered);
    keys.find(|key| !taken.contains_key(key)).expect("there are more numbers than keys")
}
