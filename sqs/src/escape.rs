//! JSON strings and numbers, written directly into a buffer.

/// Appends a text as a JSON string.
pub(crate) fn string(buffer: &mut Vec<u8>, text: &str) {
    // One loop without an exit takes fewest instructions; receipt handles have nothing to escape.
    let is_special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    if !text.bytes().fold(false, |found, byte| found | is_special(byte)) {
        buffer.push(b'"');
        buffer.extend_from_slice(text.as_bytes());
        buffer.push(b'"');
        return;
    }
    // A string written into a vector cannot fail.
    serde_json::to_writer(buffer, text).expect("a text is JSON");
}

/// Appends a number.
pub(crate) fn number(buffer: &mut Vec<u8>, number: u64) {
    serde_json::to_writer(buffer, &number).expect("a number is JSON");
}
