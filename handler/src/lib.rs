#![doc = include_str!("../README.md")]

mod api;
pub mod batch;
pub mod core;
pub mod message;
pub mod run;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use api::context::Context;
pub use api::failure::{Failure, OrReject};
pub use api::handler::Handler;
pub use api::job::{Job, Upcaster};
pub use api::next::NextOptions;
pub use api::router::Router;
pub use core::retry::RetryPolicy;
