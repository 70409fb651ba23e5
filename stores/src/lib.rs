//! Where claims, verdicts, failure histories, progress and checkpoints are kept: in memory, Redis or Valkey, PostgreSQL,
//! or DynamoDB.
//!
//! A [`Store`] is opened by its URL. Which ones this build has is a matter of cargo features: `redis`, `postgres` and
//! `dynamodb`; `memory:` is always there.
//!
//! ```
//! # async fn example() -> Result<(), drumline_store::OpenError> {
//! use drumline_store::{Keep, Location, open};
//!
//! let location: Location = "memory:".parse()?;
//! let store = open(&location, "worker-1".into(), Keep::default()).await?;
//! # Ok(()) }
//! ```
//!
//! Every store passes the same conformance suite, `tests/conformance` of this crate.

#[cfg(feature = "dynamodb")]
pub mod dynamodb;
mod environment;
mod matches;
pub mod memory;
mod open;
#[cfg(feature = "postgres")]
pub mod postgres;
mod record;
#[cfg(feature = "redis")]
pub mod redis;
mod secret_text;
mod secret_url;
mod store;

pub use environment::{set_value, variable};
pub use memory::MemoryStore;
pub use open::{Location, OpenError, open, reach};
pub use record::{
    AttemptRecord, ClaimRecord, DuplicateOf, JobRecord, JobState, MAX_ATTEMPTS_KEPT, MAX_MATCHES,
    ProgressRecord,
};
pub use secret_text::SecretText;
pub use secret_url::SecretUrl;
pub use store::{Keep, Store, StoreError};
