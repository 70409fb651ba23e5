//! The journal of a replay: its records, and the remaining work of a resumed replay.
//!
//! A replay writes which letters it is about to send, sends them, writes SQS's answer, and only then deletes them from the DLQ.
//! [`Log`] enforces that order: it permits a send or a delete only after the lines before it are on disk. So at any end of the
//! process, the file contains which letters have been sent ([`State`]), and at most one batch is in doubt.
//!
//! - [`record`]: the lines of the file
//! - [`state`]: the meaning of the lines so far
//! - [`log`]: the order of writing, sending and deleting
//! - [`deduplication`]: the ids with which a FIFO queue recognises a letter that is sent twice

pub mod deduplication;
pub mod log;
pub mod record;
pub mod state;

pub use deduplication::deduplication_id;
pub use log::{Log, Permitted};
pub use record::{FileHasher, FileMark, Header, JOURNAL_VERSION, Left, Plan, Planned, Record};
pub use state::{Corrupt, State};
