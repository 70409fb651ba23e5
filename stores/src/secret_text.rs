//! Texts that are secrets.

use std::fmt;

/// A secret. Its debug output does not contain it: only [`expose`](Self::expose) returns it, for code that compares or sends
/// it.
///
/// ```
/// use drumline_store::SecretText;
/// let secret = SecretText::from("hunter2".to_owned());
/// assert_eq!((secret.expose(), format!("{secret:?}")), ("hunter2", "***".to_owned()));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// Returns the secret.
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
