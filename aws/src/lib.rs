//! How a process reaches AWS, the same for every client in it: SQS, DynamoDB, S3, and what credentials are fetched with.
//!
//! It reads AWS's own settings (`AWS_*`, the shared config file, `HTTPS_PROXY`) and refuses unusable ones with the name of the
//! variable, where the SDK would ignore them, fail at the first request, or panic.

mod config;
mod endpoint;
mod environment;
mod http;
mod trust;

pub use config::{credentials_source, loader, local_credentials};
pub use endpoint::{check, endpoint, is_loopback};
pub use environment::Environment;
pub use http::connector_of;
