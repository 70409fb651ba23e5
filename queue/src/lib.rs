#![doc = include_str!("../README.md")]

pub mod api;
mod checks;
mod checksum;
mod dedup;
mod error;
mod groups;
mod ids;
pub mod limits;
mod message;
mod object;
mod redrive;
mod settings;
mod sqs;
mod store;
mod time;

pub use error::{ErrorCode, SqsError};
pub use sqs::{Identity, MessageState, PeekedMessage, Sqs};
pub use time::Timestamp;

#[cfg(feature = "server")]
mod server;
#[cfg(feature = "server")]
pub use server::{Endpoint, InProcess, MAX_CONNECTIONS, Server};
