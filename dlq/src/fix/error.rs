//! The reasons for which fixes do not apply.

use thiserror::Error;

/// The reason for which fixes do not apply to a letter.
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
    /// An object that would change has a key twice.
    #[error("the body has the key {0:?} twice in one object")]
    RepeatedKey(String),
    /// The type cannot be changed without changing the payload: it is part of an envelope of AWS, mostly.
    #[error(
        "the type of its job comes from the envelope that SNS, EventBridge or S3 made, and cannot be changed"
    )]
    WrappedType,
    /// The message would have more bytes than SQS takes.
    #[error("{0} bytes would be more than SQS's 1,048,576")]
    TooLarge(usize),
    /// There is no room for the attribute of the type.
    #[error("there is no room for the attribute messageType beside its ten attributes")]
    TooManyAttributes,
    /// SQS refuses a character.
    #[error("SQS does not take the character U+{:04X}", u32::from(*.0))]
    BadCharacter(char),
}
