#![doc = include_str!("../README.md")]

mod config;
mod endpoint;
mod environment;
mod http;
mod trust;

pub use config::{credentials_source, loader, local_credentials};
pub use endpoint::{check, endpoint, is_loopback};
pub use environment::Environment;
pub use http::connector_of;
