//! The reasons of failures, as short texts.

use std::any::Any;

/// Longest failure reason that is kept, in bytes: enough for an error chain, small enough for logs and stores.
pub const MAX_REASON_BYTES: usize = 1024;

/// Cuts a text to [`MAX_REASON_BYTES`], at a character's edge.
pub(crate) fn bounded(mut text: String) -> String {
    if text.len() > MAX_REASON_BYTES {
        let end = (0..=MAX_REASON_BYTES - '…'.len_utf8()).rev().find(|&i| text.is_char_boundary(i));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
}

/// Returns the message of a panic, uncut.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic_text(panic).unwrap_or("a panic without a message").to_owned()
}

/// Returns the text of a panic's payload; `None` if that is no text.
pub fn panic_text(panic: &(dyn Any + Send)) -> Option<&str> {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
}
