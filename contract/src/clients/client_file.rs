//! A client file, or the reason why there is none.

use std::fmt;

/// An insert client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The source text of the file.
    pub text: String,
    /// The parts of schemas that the client does not check, such as a keyword that it does not know. A producer in Rust checks them; a
    /// worker decodes the payload and does not check by the schema.
    pub unchecked: Vec<String>,
}

/// The reason why there is no client for a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoClient(pub(super) String);

impl fmt::Display for NoClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoClient {}
