//! Quoted texts in a reason.

use super::known;
use super::token::Token;

/// The quotes that are known to have no end in a text. They are not searched again, so that a text that consists of quotes
/// takes no longer than another.
#[derive(Debug, Default)]
pub(super) struct Quotes {
    endless: Vec<char>,
}

/// The maximum length of a name in backquotes that is kept.
const MAX_NAME: usize = 64;

impl Quotes {
    /// Recognises a quoted text at the start of `rest`, after the text whose mask is `masked`. A quote inside of a word is an
    /// apostrophe.
    pub(super) fn token(&mut self, rest: &str, before: Option<char>, masked: &str) -> Option<Token> {
        let open = rest.chars().next()?;
        let close: &[char] = match open {
            '"' => &['"'],
            '\'' => &['\''],
            '`' => &['`'],
            '“' => &['”'],
            // In German, and in other languages.
            '„' => &['“', '”'],
            '‘' => &['’'],
            '«' => &['»'],
            _ => return None,
        };
        if before.is_some_and(char::is_alphanumeric) || self.endless.contains(&open) {
            return None;
        }
        let content = &rest[open.len_utf8()..];
        let Some(end) = end(content, close) else {
            self.endless.push(open);
            return None;
        };
        let closing = content[end..].chars().next().map_or(0, char::len_utf8);
        let len = open.len_utf8() + end + closing;
        if open == '`' && is_name(&content[..end]) && !known::announces_value(masked) {
            return Some(Token::Kept(len));
        }
        Some(Token::Masked("<q>", len))
    }
}

/// Returns the first closing quote that is neither inside of a word nor escaped.
fn end(content: &str, close: &[char]) -> Option<usize> {
    let mut is_escaped = false;
    let mut chars = content.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if is_escaped {
            is_escaped = false;
        } else if c == '\\' && close == ['"'] {
            is_escaped = true;
        } else if close.contains(&c) && chars.peek().is_none_or(|(_, next)| !next.is_alphanumeric()) {
            return Some(at);
        }
    }
    None
}

/// Returns true if the text is a name. Serde and the compiler put names of fields and functions in backquotes; those
/// distinguish reasons. A text with digits is a value.
fn is_name(text: &str) -> bool {
    let is_of_names = |c: char| c.is_alphabetic() || "_-.:()<>&[]$#".contains(c);
    !text.is_empty() && text.len() <= MAX_NAME && text.chars().all(is_of_names)
}
