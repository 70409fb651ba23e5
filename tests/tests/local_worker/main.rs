//! The worker as a process, on a queue served by the test.
#![allow(clippy::unwrap_used)]

mod activity;
mod backoff;
mod commands;
mod control;
mod dead_job_webhook;
mod dlq_actions;
mod dlq_doubt;
mod dlq_export;
mod dlq_fix;
mod dlq_from;
#[cfg(target_os = "linux")]
mod dlq_hold;
mod dlq_large;
#[cfg(target_os = "linux")]
mod dlq_native;
mod dlq_order;
mod dlq_questions;
mod dlq_read;
mod dlq_refusals;
mod dlq_replay;
mod dlq_returned;
mod dlq_s3;
mod dlq_s3_undo;
mod dlq_watch;
mod doors;
mod emf;
mod environment;
mod examples;
mod gate;
mod insert_clients;
mod last_attempt;
mod life;
mod limits;
mod night;
mod otel;
mod pipes;
mod preflight;
mod resources;
mod rust_examples;
mod s3_app;
mod schema;
mod secrets;
mod send;
mod service;
mod signals;
mod slo;
mod sqs_client;
mod starting;
mod status_page;
mod target;
mod task_protection;
mod throttled;
mod unbounded;
mod waiting;
mod weights;
