//! A letter as one line of an export, byte for byte, and the header before the lines.
//!
//! An export is JSON Lines: a [`Header`], then a [`Line`] for each letter. Body, attributes and system attributes are those of
//! the message; facts about its job follow for readers. Exports of one DLQ may be concatenated.

mod format;
mod read;
mod write;

pub use format::{FORMAT_VERSION, Header};
pub use read::{Exported, Lines, ReadError};
pub use write::Line;

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
