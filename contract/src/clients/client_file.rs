//! A client file, or the reason why there is none.

use std::fmt;

/// A client file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The source text of the file.
    pub text: String,
    /// The parts of schemas that the client does not check, for example unknown keywords. A Rust producer checks them; a worker
    /// decodes the payload without checking the schema.
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
