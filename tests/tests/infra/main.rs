//! The templates of `infra/cloudformation` deployed unchanged to `LocalStack`, with the real binaries at their queues.
//!
//! Set `DRUMLINE_TEST_LOCALSTACK` to the URL of a running `LocalStack`; `cargo xtask test` does.
#![allow(clippy::unwrap_used)]

mod archive;
mod doctor;
mod fan_out;
mod function;
mod intake;
mod payloads;
mod queues;
mod slo;
mod tables;
