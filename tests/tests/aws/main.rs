//! Drumline's binaries in environments with AWS's settings: endpoints, proxies, credentials, errors at the start.
//!
//! Needs no servers except those that the tests start themselves.
#![allow(clippy::unwrap_used)]

mod credentials;
mod endpoints;
mod proxies;
mod rotation;
mod sources;
mod start;
mod trust;

const USAGE: i32 = 64;
const UNAVAILABLE: i32 = 69;

/// The region's usual host, and a queue there.
const QUEUE: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs";
