//! A fast deserializer for the JSON that SQS writes nearly always: objects, lists and strings, without line breaks.
//!
//! Everything else is an error without a reason, after which `decode.rs` reads the same answer with serde_json: numbers, `null`,
//! control characters, surrogate pairs, and text that is no JSON. It accepts no text that serde_json refuses.

use std::fmt;

use memchr::memchr2;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

/// The answer has something that only serde_json reads.
#[derive(Debug)]
pub(crate) struct NotPlain;

impl fmt::Display for NotPlain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not plain JSON")
    }
}

impl std::error::Error for NotPlain {}

impl de::Error for NotPlain {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Reads a whole answer.
pub(crate) fn read<'de, S: DeserializeSeed<'de>>(text: &'de str, seed: S) -> Result<S::Value, NotPlain> {
    // JSON forbids control characters in strings. One loop over the whole answer, without an exit, takes fewest instructions.
    if text.bytes().fold(false, |found, byte| found | (byte < b' ')) {
        return Err(NotPlain);
    }
    let mut json = PlainJson { rest: text, unescaped: String::new() };
    let value = seed.deserialize(&mut json)?;
    json.skip_spaces();
    if json.rest.is_empty() { Ok(value) } else { Err(NotPlain) }
}

struct PlainJson<'de> {
    /// The part that is not read yet.
    rest: &'de str,
    /// The last string with escapes, without them. One buffer for all, so that each string is allocated once and in its length.
    unescaped: String,
}

/// A string of an answer.
enum Text<'de> {
    /// A part of the answer.
    Borrowed(&'de str),
    /// A string with escapes, which is in the buffer without them.
    Unescaped,
}

impl<'de> PlainJson<'de> {
    fn skip_spaces(&mut self) {
        while let Some(rest) = self.rest.strip_prefix(' ') {
            self.rest = rest;
        }
    }

    /// Reads this byte, if it is the next one after spaces.
    fn next_is(&mut self, byte: char) -> bool {
        self.skip_spaces();
        let rest = self.rest.strip_prefix(byte);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, byte: char) -> Result<(), NotPlain> {
        if self.next_is(byte) { Ok(()) } else { Err(NotPlain) }
    }

    fn string(&mut self) -> Result<Text<'de>, NotPlain> {
        self.expect('"')?;
        let (text, is_end) = self.part()?;
        if is_end {
            return Ok(Text::Borrowed(text));
        }
        self.unescaped.clear();
        self.unescaped.push_str(text);
        loop {
            let character = self.escape()?;
            self.unescaped.push(character);
            let (text, is_end) = self.part()?;
            self.unescaped.push_str(text);
            if is_end {
                return Ok(Text::Unescaped);
            }
        }
    }

    /// Reads a string up to its end or to the next backslash, and that too. Returns true if it was the end.
    fn part(&mut self) -> Result<(&'de str, bool), NotPlain> {
        let end = memchr2(b'"', b'\\', self.rest.as_bytes()).ok_or(NotPlain)?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = &rest[1..];
        Ok((text, rest.starts_with('"')))
    }

    /// Reads an escape after its backslash.
    fn escape(&mut self) -> Result<char, NotPlain> {
        let (character, length) = match self.rest.as_bytes().first() {
            Some(b'"') => ('"', 1),
            Some(b'\\') => ('\\', 1),
            Some(b'/') => ('/', 1),
            Some(b'b') => ('\u{8}', 1),
            Some(b'f') => ('\u{c}', 1),
            Some(b'n') => ('\n', 1),
            Some(b'r') => ('\r', 1),
            Some(b't') => ('\t', 1),
            Some(b'u') => (self.code_point().ok_or(NotPlain)?, 5),
            _ => return Err(NotPlain),
        };
        self.rest = &self.rest[length..];
        Ok(character)
    }

    /// Returns the character of an escape such as `u00e9`. `None` for half of a surrogate pair.
    fn code_point(&self) -> Option<char> {
        let digits = self.rest.get(1..5)?;
        // The parser would accept a sign.
        if digits.starts_with('+') {
            return None;
        }
        char::from_u32(u32::from_str_radix(digits, 16).ok()?)
    }
}

impl<'de> Deserializer<'de> for &mut PlainJson<'de> {
    type Error = NotPlain;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NotPlain> {
        Err(NotPlain)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        match self.string()? {
            Text::Borrowed(text) => visitor.visit_borrowed_str(text),
            Text::Unescaped => visitor.visit_str(&self.unescaped),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        self.deserialize_str(visitor)
    }

    /// Ignores a string. Other values of unknown fields are left to serde_json.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        self.string()?;
        visitor.visit_unit()
    }

    /// Reads a value, since `null` is not plain.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_some(self)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        self.expect('{')?;
        visitor.visit_map(Entries { json: self, is_first: true })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        self.expect('[')?;
        visitor.visit_seq(Entries { json: self, is_first: true })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct newtype_struct tuple
        tuple_struct struct enum identifier
    }
}

/// The entries of an object or a list, which the visitor reads up to the end.
struct Entries<'j, 'de> {
    json: &'j mut PlainJson<'de>,
    is_first: bool,
}

impl Entries<'_, '_> {
    /// Reads the end, or else the comma before the next entry. Returns true if there is a next entry.
    fn has_next(&mut self, end: char) -> Result<bool, NotPlain> {
        if self.json.next_is(end) {
            return Ok(false);
        }
        if !std::mem::take(&mut self.is_first) {
            self.json.expect(',')?;
        }
        Ok(true)
    }
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = NotPlain;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, NotPlain> {
        if self.has_next('}')? { seed.deserialize(&mut *self.json).map(Some) } else { Ok(None) }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, NotPlain> {
        self.json.expect(':')?;
        seed.deserialize(&mut *self.json)
    }
}

impl<'de> SeqAccess<'de> for Entries<'_, 'de> {
    type Error = NotPlain;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, NotPlain> {
        if self.has_next(']')? { seed.deserialize(&mut *self.json).map(Some) } else { Ok(None) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;
    use std::marker::PhantomData;

    use super::*;

    fn fields(text: &str) -> Option<BTreeMap<String, String>> {
        read(text, PhantomData).ok()
    }

    #[test]
    fn strings_have_the_meaning_that_they_have_for_serde_json() {
        for string in [
            "",
            "a",
            "é😀",
            r"a\b",
            r#"\"b\""#,
            r"\\",
            r"\/\b\f\n\r\t",
            r"\u00e9\u0000x",
            r"x\uFFFF",
            "\u{7f}",
        ] {
            for text in [format!(r#"{{"k":"{string}"}}"#), format!(r#" {{ "k" : "{string}" , "l":"m" }} "#)] {
                let expected = serde_json::from_str(&text).unwrap();
                assert_eq!(fields(&text), Some(expected), "{text}");
            }
        }
    }

    #[test]
    fn other_text_is_left_to_serde_json() {
        for text in [
            "",
            " ",
            "{",
            "}",
            "null",
            "[]",
            "{}}",
            "{} x",
            "{,}",
            r#"{"k"}"#,
            r#"{"k":}"#,
            r#"{"k":"v",}"#,
            r#"{"k":"v"#,
            r#"{,"k":"v"}"#,
            r#"{"k" "v"}"#,
            r#"{"k":"v" "l":"m"}"#,
            r#"{"k":"v"]"#,
            r#"{"k":7}"#,
            r#"{"k":null}"#,
            r#"{"k":"\q"}"#,
            r#"{"k":"\u12"}"#,
            r#"{"k":"\u+123"}"#,
            r#"{"k":"\ud83d\ude00"}"#,
            r#"{"k":"\ud800"}"#,
            r#"{"k":"\"#,
            "{\"k\":\"a\nb\"}",
            "{\n\"k\":\"v\"}",
            "\u{feff}{}",
        ] {
            assert_eq!(fields(text), None, "{text}");
        }
    }
}
