//! Drumline's binaries in the environments that AWS's settings describe: endpoints, proxies, credentials.
//!
//! Needs no server but those that the tests start themselves.
#![allow(clippy::unwrap_used)]

mod endpoints;
mod proxies;
