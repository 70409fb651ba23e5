//! The `drumline` binary under realistic conditions: real processes, signals and kills, against LocalStack.
//!
//! Set `DRUMLINE_TEST_LOCALSTACK` to the URL of a running LocalStack; `cargo xtask test` does, and runs several tests at once,
//! because they wait more than they compute.
#![allow(clippy::unwrap_used)]

mod background_sending;
mod bad_input;
mod dlq;
mod dlq_s3;
mod ecs;
mod extended_client;
mod faults;
mod fifo;
mod jobs;
mod jobs_command;
mod kill;
mod lease;
mod local;
mod payloads;
mod payloads_dlq;
mod permanent;
mod retry;
mod send;
mod shutdown;
mod signals;
mod startup;
