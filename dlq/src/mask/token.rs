//! A token of a reason: a value that is masked, or text that is kept.

/// A piece of the reason, with its length in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// Whitespace and control characters.
    Blank(usize),
    /// Text that stays.
    Kept(usize),
    /// A value, and its placeholder.
    Masked(&'static str, usize),
}

/// Returns true for whitespace of a mask.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

/// Returns true if the word continues in `rest`.
pub(super) fn goes_on(rest: &str) -> bool {
    rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}
