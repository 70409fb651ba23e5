#![doc = include_str!("../README.md")]

mod causes;
mod config;
mod endpoint;
mod environment;
mod http;
#[cfg(feature = "signed")]
mod request;
mod reread;
#[cfg(feature = "s3")]
mod s3;
#[cfg(feature = "signed")]
mod signed;
mod trust;

pub use causes::with_causes;
pub use config::{credentials_source, loader, local_credentials};
pub use endpoint::{check, endpoint, is_loopback};
pub use environment::Environment;
pub use http::{connector_of, is_behind_proxy};
#[cfg(feature = "signed")]
pub use request::{MAX_ANSWER_BYTES, NoAnswer, send};
pub use reread::rereading;
#[cfg(feature = "s3")]
pub use s3::{S3, S3Error, S3Request, object_path, xml_text};
#[cfg(feature = "signed")]
pub use signed::SignedApi;
pub use trust::root_certificates;
