//! Texts that are secrets.

use std::fmt;

/// A secret. It has no text of its own in output: [`expose`](Self::expose) is the only way to it, for the code that compares or
/// sends it.
///
/// ```
/// use drumline_store::SecretText;
/// let secret = SecretText::from("hunter2".to_owned());
/// assert_eq!((secret.expose(), format!("{secret:?}")), ("hunter2", "***".to_owned()));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
