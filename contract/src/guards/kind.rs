//! The kinds of findings, and the action for each.

use std::fmt;

/// The kind of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// A value that identifies itself as a secret: an AWS key, a private key, a known token, a URL with a password.
    Secret,
    /// A field name that suggests a secret, with a text as its value.
    SecretName,
    /// A JSON Web Token.
    Jwt,
    /// A payment card number.
    CardNumber,
    /// An e-mail address.
    PersonalData,
    /// A text of more than 20 kB.
    LongText,
}

/// The action for findings of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// The kind is not inspected.
    Off,
    /// The finding is reported, and the payload is sent.
    Warn,
    /// The payload is not sent.
    Deny,
}

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The payload may be sent.
    Warning,
    /// The payload is not sent.
    Error,
}

impl FindingKind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Secret, Self::SecretName, Self::Jwt, Self::CardNumber, Self::PersonalData, Self::LongText];

    /// Returns the name in settings, logs and test vectors, such as `card_number`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::SecretName => "secret_name",
            Self::Jwt => "jwt",
            Self::CardNumber => "card_number",
            Self::PersonalData => "personal_data",
            Self::LongText => "long_text",
        }
    }

    /// Returns the kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Returns the template of a finding's text. `{field}` is the field, `{what}` the kind of secret, and `{allow}` the text
    /// with which the setting `guard_allow` allows the field.
    pub const fn template(self) -> &'static str {
        match self {
            Self::Secret => {
                "{field} has {what}, and queues keep and show what they are sent: send a reference to it, or set guard_allow to \"{allow}\""
            }
            Self::SecretName => {
                "{field} is named like a secret, and queues keep and show what they are sent: send a reference to it, or set guard_allow to \"{allow}\""
            }
            Self::Jwt => {
                "{field} has a JSON Web Token, which grants access while it waits and may have expired when the job runs: send a reference to it, or set guard_allow to \"{allow}\""
            }
            Self::CardNumber => {
                "{field} has the number of a payment card: send the payment provider's token for it, or set guard_allow to \"{allow}\""
            }
            Self::PersonalData => {
                "{field} has an e-mail address, which queues, dead letters and exports keep: send the person's id, or set guard_allow to \"{allow}\""
            }
            Self::LongText => {
                "{field} has more than 20 kB of text: put it into S3 and send a reference, or set guard_allow to \"{allow}\""
            }
        }
    }

    /// Returns the index in a table by kind.
    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
