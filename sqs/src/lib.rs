#![doc = include_str!("../README.md")]
//!
//! One file for each step of a request: its body is written (`write.rs`), signed (`sign.rs`) with credentials (`credentials.rs`), sent over a
//! connection of the pool (`pool.rs`), and its answer decoded (`decode.rs`, `usual.rs`). [`SqsClient`] puts the steps together.

mod answer;
mod client;
mod credentials;
mod decode;
mod error;
mod escape;
mod identity;
mod pool;
#[cfg(test)]
mod scripted;
mod sign;
mod usual;
mod write;

pub use answer::{BatchAnswer, FailedEntry, Received, SentEntry, Undecodable};
pub use client::{ClientConfig, SqsClient};
pub use error::{ErrorKind, RequestError};
pub use write::{DeleteEntry, ReceiveRequest, SendEntry, VisibilityEntry};
