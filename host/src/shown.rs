//! Shows settings without secrets.

use drumline_store::SecretUrl;

use crate::redact::redacted;

/// The part of a setting's value that may be shown: by `drumline config`, and in error texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shown {
    /// The value, without probable secrets.
    Text,
    /// A list of URLs without userinfo and query. An item that is no URL is shown as [`Text`](Self::Text).
    Urls,
    /// A URL without userinfo and query. A value that is no URL is hidden.
    SecretUrl,
    /// No value.
    Nothing,
}

impl Shown {
    /// Returns the part of a value that may be shown.
    pub fn of(self, value: &str) -> String {
        let item = |text: &str| match SecretUrl::shown(text) {
            shown if shown == HIDDEN && !text.contains(['@', '?', '#']) => redacted(text).into_owned(),
            shown => shown,
        };
        match self {
            Self::Text => redacted(value).into_owned(),
            Self::Urls => value.split(',').map(|text| item(text.trim())).collect::<Vec<_>>().join(", "),
            Self::SecretUrl => SecretUrl::shown(value),
            Self::Nothing => HIDDEN.to_owned(),
        }
    }
}

/// The text that replaces a value that may be a secret as a whole.
const HIDDEN: &str = "***";
