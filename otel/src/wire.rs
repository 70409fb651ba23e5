//! Protocol buffers, written directly: a span is encoded once, when it ends, without an object in between.

use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

/// A value of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Text(&'a str),
    Number(i64),
}

/// Writes bytes.
pub(crate) fn bytes(out: &mut Vec<u8>, tag: u32, bytes: &[u8]) {
    begin(out, tag, bytes.len());
    out.extend_from_slice(bytes);
}

/// Writes the beginning of a message of this length.
pub(crate) fn begin(out: &mut Vec<u8>, tag: u32, length: usize) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(length as u64, out);
}

/// Writes a text.
pub(crate) fn text(out: &mut Vec<u8>, tag: u32, text: &str) {
    bytes(out, tag, text.as_bytes());
}

/// Writes a number of variable length.
pub(crate) fn number(out: &mut Vec<u8>, tag: u32, number: u64) {
    encode_key(tag, WireType::Varint, out);
    encode_varint(number, out);
}

/// Writes a number of eight bytes.
pub(crate) fn fixed64(out: &mut Vec<u8>, tag: u32, number: u64) {
    encode_key(tag, WireType::SixtyFourBit, out);
    out.extend_from_slice(&number.to_le_bytes());
}

/// Writes a number of four bytes.
pub(crate) fn fixed32(out: &mut Vec<u8>, tag: u32, number: u32) {
    encode_key(tag, WireType::ThirtyTwoBit, out);
    out.extend_from_slice(&number.to_le_bytes());
}

/// Writes the attribute of a span or a link: a `KeyValue` with an `AnyValue`, whose lengths are known before they are written.
pub(crate) fn attribute(out: &mut Vec<u8>, tag: u32, key: &str, value: Value<'_>) {
    let value_length = match value {
        Value::Text(text) => field_length(text.len()),
        // Negative numbers have ten bytes.
        Value::Number(number) => 1 + encoded_len_varint(number.cast_unsigned()),
    };
    let length = field_length(key.len()) + field_length(value_length);
    begin(out, tag, length);
    text(out, 1, key);
    begin(out, 2, value_length);
    match value {
        Value::Text(value) => text(out, 1, value),
        Value::Number(value) => number(out, 3, value.cast_unsigned()),
    }
}

/// Returns the length of a field with content of this length, whose tag is below 16.
pub(crate) fn field_length(content: usize) -> usize {
    1 + encoded_len_varint(content as u64) + content
}

/// The most bytes of a text.
const MAX_TEXT_BYTES: usize = 1024;

/// Returns the beginning of a text that producers or collectors choose.
pub(crate) fn bounded(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT_BYTES)]
}
