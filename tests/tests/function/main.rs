//! The `drumline-lambda` binary as Lambda runs it: a real process between a Runtime API, a queue and an application of the
//! test. The tests check the exact bytes of its responses.
//!
//! The meaning of the responses to Lambda:
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>.
#![allow(clippy::unwrap_used)]

mod apps;
mod backoff;
mod concurrent;
mod dead_letters;
mod deadline;
mod dev;
mod fifo;
mod foreign_events;
mod invoke;
mod jobs;
mod lease;
mod limits;
mod logs;
mod mapping;
mod metrics;
mod oddities;
mod otel;
mod payloads;
mod records;
mod response;
mod sample_events;
mod size;
mod slo;
mod startup;
mod warm;
mod without_message_id;
