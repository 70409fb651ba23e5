//! What end-to-end tests are made of: queues on LocalStack, the `drumline` binary as a process, an application for it to
//! forward to, and a proxy that makes SQS fail.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod app;
mod binary;
mod eventually;
mod http;
mod output;
mod proxy;
mod queues;
mod worker;

pub use app::{Answer, App, Call, Ended};
pub use binary::binary;
pub use eventually::{PATIENCE, eventually};
pub use http::{get, status_of};
pub use proxy::{Fault, Proxy};
pub use queues::{Counts, Setup, TestQueue, client, localstack};
pub use rustix::process::Signal;
pub use worker::{Finished, Launch, Worker, free_address};
