//! The `drumline-lambda` binary deployed to `LocalStack` and fed by a real event source mapping, so that the way from a
//! queue through Lambda and back is the one of the field: batches, deletion, redelivery and the redrive policy are
//! `LocalStack`'s doing, and each job is answered by an application of the test.
//!
//! Set `DRUMLINE_TEST_LOCALSTACK` to the URL of a running `LocalStack` and `DRUMLINE_TEST_LAMBDA` to anything where it
//! runs functions; `cargo xtask test` does. Without the latter all tests say that they are left out.
//!
//! `LocalStack` makes a batch of each message group, where Lambda mixes groups in a batch, and it runs one batch of a
//! mapping at a time.
#![allow(clippy::unwrap_used)]

mod batch;
mod fifo;
mod invoked;
mod payloads;
mod retry;
mod trouble;
