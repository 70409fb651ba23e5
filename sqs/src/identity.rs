//! Credentials with the values derived from them once for all requests.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use http::HeaderValue;

/// Credentials with the values derived from them for each request.
pub(crate) struct Identity {
    pub(crate) credentials: Credentials,
    /// The session token as a header.
    pub(crate) token: Option<HeaderValue>,
    pub(crate) key: KeptKey,
}

impl Identity {
    pub(crate) fn new(credentials: Credentials) -> Result<Self, CredentialsError> {
        let token = credentials.session_token().map(|token| HeaderValue::from_str(token.trim())).transpose();
        let mut token = token.map_err(|_| {
            CredentialsError::invalid_configuration(
                "the session token has a character that no header may have",
            )
        })?;
        if let Some(token) = &mut token {
            token.set_sensitive(true);
        }
        Ok(Self { credentials, token, key: KeptKey::default() })
    }

    pub(crate) fn is_good(&self) -> bool {
        self.credentials.expiry().is_none_or(|end| end > SystemTime::now())
    }
}

/// The last signing key that was derived from some credentials.
#[derive(Default)]
pub(crate) struct KeptKey(pub(crate) Mutex<Option<Arc<DayKey>>>);

/// The signing key of a day. Deriving it is most of the work of a signature.
pub(crate) struct DayKey {
    pub(crate) day: u64,
    /// The date, such as `20261130`.
    pub(crate) date: String,
    /// The scope, such as `20261130/eu-west-1/sqs/aws4_request`.
    pub(crate) scope: String,
    /// The `Authorization` header up to the signature.
    pub(crate) authorization: String,
    pub(crate) key: Vec<u8>,
}
