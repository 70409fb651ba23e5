#![doc = include_str!("../README.md")]

#[cfg(feature = "conformance")]
pub mod conformance;
mod connect;
mod document;
mod document_rules;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
mod environment;
#[cfg(feature = "file")]
pub mod file;
mod forgotten;
pub mod job_view;
mod matches;
pub mod memory;
mod open;
pub mod outbox;
mod own;
#[cfg(feature = "postgres")]
pub mod postgres;
mod record;
pub mod records;
#[cfg(feature = "redis")]
pub mod redis;
mod rules;
mod secret_text;
mod secret_url;
mod store;
mod tokens;

pub use connect::{open, reach};
pub use document::{Document, MAX_DOCUMENT_BYTES, MAX_DOCUMENT_KEEP, MAX_DOCUMENT_NAME_BYTES, MAX_DOCUMENTS};
pub use environment::{set_value, variable};
pub use forgotten::Forgotten;
pub use memory::MemoryStore;
pub use open::{Location, OpenError};
pub use own::OwnStore;
pub use record::{
    AttemptRecord, ClaimRecord, DuplicateOf, JobRecord, JobState, MAX_ATTEMPTS_KEPT, MAX_MATCHES, MAX_RECENT,
    ProgressRecord,
};
pub use records::{Change, RecordStore, Records};
pub use secret_text::SecretText;
pub use secret_url::SecretUrl;
pub use store::{Retention, Store, StoreError, StoreErrorText};
pub use tokens::{TOKEN_VALIDITY, TokenLease, TokenRequest};
