//! A hash that is equal for payloads with the same values, regardless of how they were written.
//!
//! A producer that sends a job twice may order its keys differently, and a service on the way may rewrite a payload (escapes,
//! blanks, `1.0` for `1`). So values are hashed, not texts: the entries of an object in any order.
//!
//! By XXH3, because every job is hashed. It guards against producers' mistakes, not against an attacker who searches for two
//! payloads with one hash: a sender of jobs with other producers' keys can do worse.

use memchr::memchr2;
use serde::Deserialize;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Returns the hash of a job's type and its payload. It is the same in every build and on every machine, because stores keep
/// it. A payload that is not JSON is hashed as bytes.
pub fn payload_hash(job_type: &str, payload: &str) -> u128 {
    let value = serde_json::from_str::<&RawValue>(payload).ok().and_then(value_hash);
    with_type(job_type, payload, value)
}

/// Returns the same hash as [`payload_hash`], of a payload that is known to be JSON.
pub(crate) fn json_payload_hash(job_type: &str, payload: &RawValue) -> u128 {
    with_type(job_type, payload.get(), value_hash(payload))
}

fn with_type(job_type: &str, payload: &str, value: Option<u128>) -> u128 {
    let value = value.unwrap_or_else(|| leaf(Kind::Raw, payload.as_bytes()));
    pair(Kind::Whole, leaf(Kind::Text, job_type.as_bytes()), value)
}

/// Returns the hash of a value, unless it has no meaning, see [`Values::value`].
fn value_hash(value: &RawValue) -> Option<u128> {
    Values { rest: value.get().as_bytes(), depth: MAX_DEPTH }.value()
}

/// The number of arrays and objects that may be inside each other, as in `serde_json`.
const MAX_DEPTH: u8 = 127;

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

fn integer(value: i128) -> u128 {
    leaf(Kind::Integer, &value.to_le_bytes())
}

fn float(value: f64) -> u128 {
    /// Up to here every whole number has a separate float.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        #[allow(clippy::cast_possible_truncation, reason = "a whole number within the bounds of an i64")]
        return integer(i128::from(value as i64));
    }
    leaf(Kind::Float, &value.to_bits().to_le_bytes())
}

/// The values of a text that is JSON, hashed while they are read.
///
/// A parser has read the text before, so most of its checks are not repeated here: a value ends where JSON says that it ends. This
/// takes a fraction of the time of another parse.
struct Values<'a> {
    rest: &'a [u8],
    /// The number of further arrays and objects that may be inside each other.
    depth: u8,
}

impl<'a> Values<'a> {
    /// Hashes the next value. Returns `None` if it has no meaning: half a surrogate pair, a number beyond all floats, or too many
    /// arrays inside each other.
    fn value(&mut self) -> Option<u128> {
        match self.peek()? {
            b'"' => self.text(),
            b'{' => self.object(),
            b'[' => self.array(),
            b'n' => Some(self.word("null", leaf(Kind::Null, &[]))),
            b't' => Some(self.word("true", leaf(Kind::Bool, &[1]))),
            b'f' => Some(self.word("false", leaf(Kind::Bool, &[0]))),
            _ => self.number(),
        }
    }

    /// Hashes the entries of an object. A sum does not depend on the order of its parts.
    fn object(&mut self) -> Option<u128> {
        let mut sum = 0_u128;
        let mut next = self.enter()?;
        while next != b'}' {
            let key = self.text()?;
            self.peek()?;
            self.skip(":".len());
            sum = sum.wrapping_add(pair(Kind::Object, key, self.value()?));
            next = self.next_inside()?;
        }
        self.leave();
        Some(leaf(Kind::Object, &sum.to_le_bytes()))
    }

    fn array(&mut self) -> Option<u128> {
        let mut array = leaf(Kind::Array, &[]);
        let mut next = self.enter()?;
        while next != b']' {
            array = pair(Kind::Array, array, self.value()?);
            next = self.next_inside()?;
        }
        self.leave();
        Some(array)
    }

    /// Skips an opening bracket, and returns the byte after it.
    fn enter(&mut self) -> Option<u8> {
        self.depth = self.depth.checked_sub(1)?;
        self.skip("{".len());
        self.peek()
    }

    /// Skips the comma after a value, if there is one, and returns the byte after it.
    fn next_inside(&mut self) -> Option<u8> {
        match self.peek()? {
            b',' => {
                self.skip(",".len());
                self.peek()
            }
            bracket => Some(bracket),
        }
    }

    /// Skips a closing bracket.
    fn leave(&mut self) {
        self.skip("}".len());
        self.depth += 1;
    }

    /// Hashes a text. Hardly any has an escape.
    fn text(&mut self) -> Option<u128> {
        let text = self.rest.get(1..)?;
        let end = memchr2(b'"', b'\\', text)?;
        if text[end] == b'\\' {
            return self.parsed(|text: String| leaf(Kind::Text, text.as_bytes()));
        }
        self.rest = &text[end + 1..];
        Some(leaf(Kind::Text, &text[..end]))
    }

    fn word(&mut self, word: &str, hash: u128) -> u128 {
        self.skip(word.len());
        hash
    }

    fn number(&mut self) -> Option<u128> {
        let is_part = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        let end = self.rest.iter().position(|byte| !is_part(*byte)).unwrap_or(self.rest.len());
        let number = str::from_utf8(&self.rest[..end]).ok()?;
        // Whole numbers beyond these are floats in JSON.
        let whole = number.parse::<i64>().map(i128::from).or_else(|_| number.parse::<u64>().map(i128::from));
        match whole {
            Ok(whole) => {
                self.skip(end);
                Some(integer(whole))
            }
            Err(_) => self.parsed(float),
        }
    }

    /// Hashes a value that a parser reads.
    fn parsed<T: Deserialize<'a>>(&mut self, hash: impl FnOnce(T) -> u128) -> Option<u128> {
        let mut values = serde_json::Deserializer::from_slice(self.rest).into_iter::<T>();
        let value = values.next()?.ok()?;
        self.skip(values.byte_offset());
        Some(hash(value))
    }

    /// Skips blanks, and returns the byte after them.
    fn peek(&mut self) -> Option<u8> {
        while let [byte, rest @ ..] = self.rest {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(*byte);
            }
            self.rest = rest;
        }
        None
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }
}

#[cfg(test)]
#[path = "payload_hash_tests.rs"]
mod tests;
