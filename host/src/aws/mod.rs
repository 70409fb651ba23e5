//! SQS with AWS's own SDK. This module only translates; all decisions are made elsewhere.

mod access;
mod address;
mod client;
mod copy;
mod credentials;
mod describe;
mod errors;
mod hot_path;
mod labels;
mod lean;
#[cfg(test)]
mod oracle;
mod queue;
mod queue_url;
mod resolve;
mod time_limits;
mod translate;

pub use access::Access;
pub use address::is_aws_host;
pub use client::{Clients, check_environment, connect, connect_at};
pub use copy::copy_attributes;
pub use describe::{QueueFacts, Redrive, is_fifo, queue_name, url_by_arn};
pub use drumline_aws::with_causes;
pub use drumline_sqs::{BatchAnswer, FailedEntry, SendEntry, SentEntry};
pub use errors::{explain, is_gone};
pub use labels::queue_labels;
pub use lean::{SqsClientChoice, SqsClientSwitch};
pub use queue::AwsQueue;
pub use queue_url::{name_of, queue_url, url_of_arn};
pub use resolve::resolve;
