//! The requests of a process to the store, and the responses, if workers share a rate.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use super::rules::Rate;

/// The tokens that a process needs of one key of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenDemand {
    /// The job type.
    pub job_type: Arc<str>,
    /// The key; `None` counts the jobs without one.
    pub key: Option<Arc<str>>,
    /// The rate of all workers together.
    pub rate: Rate,
    /// The maximum number of tokens at one time.
    pub burst: NonZeroU32,
    /// The maximum number of tokens that this process can use.
    pub most: NonZeroU32,
}

impl TokenDemand {
    /// The name of the bucket that workers share. Neither part is ambiguous: a type has no control characters.
    pub fn bucket(&self) -> String {
        match &self.key {
            Some(key) => format!("{}\t{key}", self.job_type),
            None => self.job_type.to_string(),
        }
    }
}

/// Tokens that were leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrantedTokens {
    /// Their number, which may be zero.
    pub tokens: u32,
    /// The time at which they expire.
    pub until: Instant,
    /// The earliest time of the next request.
    pub next_at: Instant,
}
