//! The `drumline-lambda` binary deployed to `LocalStack` behind a real event source mapping. The path from a queue through
//! Lambda and back is therefore realistic: `LocalStack` does the batching, deletion, redelivery and redrive, and an application
//! of the test answers each job.
//!
//! Set `DRUMLINE_TEST_LOCALSTACK` to the URL of a running `LocalStack`, and set `DRUMLINE_TEST_LAMBDA` if it runs functions;
//! `cargo xtask test` does both. Without the latter all tests print that they are skipped.
//!
//! `LocalStack` makes a batch of each message group, while Lambda mixes groups in a batch, and it runs one batch of a mapping
//! at a time.
#![allow(clippy::unwrap_used)]

mod batch;
mod fifo;
mod invoked;
mod payloads;
mod retry;
mod trouble;
