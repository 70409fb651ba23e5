//! Ids that are safe in all places where they are used.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest name in bytes: with its additions, it must fit into a file name (255), a header line (998) and an idempotency
/// key (1,024).
const MAX_NAME_BYTES: usize = 128;

/// A text that is safe as a file name and in a mail's header: ASCII letters, digits, `-`, `_` and `.`, and not beginning with a
/// dot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(!try_from)]
pub(crate) struct Name(#[schemars(regex(pattern = "^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}$"))] String);

/// The error for a text that is not a name.
#[derive(Debug, thiserror::Error)]
#[error("an id is 1 to {MAX_NAME_BYTES} of A-Z a-z 0-9 - _ . and does not begin with a dot")]
pub(crate) struct NoName;

impl TryFrom<String> for Name {
    type Error = NoName;

    fn try_from(text: String) -> Result<Self, NoName> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let fits = (1..=MAX_NAME_BYTES).contains(&text.len()) && text.bytes().all(allowed);
        if fits && !text.starts_with('.') { Ok(Self(text)) } else { Err(NoName) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe() {
        for text in ["a", "01JD-x_y.z", &"x".repeat(128)] {
            assert!(Name::try_from(text.to_owned()).is_ok(), "{text}");
        }
        for text in ["", ".", "..", ".hidden", "a/b", "a\\b", "a b", "ä", "a\r\nBcc: x", &"x".repeat(129)] {
            assert!(Name::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
