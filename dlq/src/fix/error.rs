//! The reasons why fixes do not apply.

use thiserror::Error;

/// The reason why fixes do not apply to a letter.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FixError {
    /// The body is no JSON.
    #[error("the body is no JSON")]
    NotJson,
    /// The body is a pointer of the extended client library.
    #[error("the payload is in S3: the body is only a pointer to it")]
    InS3,
    /// The body is compressed.
    #[error("the body is compressed")]
    Compressed,
    /// The body has no such place.
    #[error("the body has no place {0}")]
    NoPlace(String),
    /// A `test` of a patch does not hold.
    #[error("the patch's test of {0} does not hold")]
    TestFailed(String),
    /// An object that would change contains a key twice.
    #[error("the body has the key {0:?} twice in one object")]
    RepeatedKey(String),
    /// The type cannot be changed without changing the payload: it is mostly part of an AWS envelope.
    #[error(
        "the type of its job comes from the envelope that SNS, EventBridge or S3 made, and cannot be changed"
    )]
    WrappedType,
    /// The message would be larger than SQS allows.
    #[error("{0} bytes would be more than SQS's 1,048,576")]
    TooLarge(usize),
    /// There is no space for the attribute of the type.
    #[error("there is no room for the attribute messageType beside its ten attributes")]
    TooManyAttributes,
    /// SQS refuses a character.
    #[error("SQS does not take the character U+{:04X}", u32::from(*.0))]
    BadCharacter(char),
}
