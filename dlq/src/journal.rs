//! The journal of a replay: its records, and what a resumed one has to do.
//!
//! A replay writes down which letters it is about to send, sends them, writes down what SQS has answered, and only then deletes
//! them from the DLQ. [`Log`] keeps that order: it permits a send or a delete only once the lines before it are on disk. So
//! whenever the process ends, the file says which letters have been sent ([`State`]), and at most one batch is in doubt.
//!
//! - [`record`]: the lines of the file
//! - [`state`]: the meaning of the lines so far
//! - [`log`]: the order of writing, sending and deleting
//! - [`deduplication`]: the ids by which a FIFO queue recognises a letter that is sent twice

pub mod deduplication;
pub mod log;
pub mod record;
pub mod state;

pub use deduplication::deduplication_id;
pub use log::{Log, Permitted};
pub use record::{FileHasher, FileMark, Header, JOURNAL_VERSION, Left, Plan, Planned, Record};
pub use state::{Corrupt, State};
