//! The code that the sending processes of benchmarks share: the job and the client.

use std::error::Error;

use aws_config::BehaviorVersion;
use aws_credential_types::Credentials;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{Builder, HttpClient, Region, StalledStreamProtectionConfig};
use drumline::Job;
use serde::{Deserialize, Serialize};

/// The padding with which a message, including its envelope, has about 300 bytes.
const PADDING: usize = 120;

#[derive(Serialize, Deserialize)]
pub(crate) struct Noop {
    n: u64,
    padding: String,
}

impl Job for Noop {
    const TYPE: &'static str = "noop";
}

impl Noop {
    pub(crate) fn new(n: u64) -> Self {
        Self { n, padding: "x".repeat(PADDING) }
    }
}

/// Returns the settings of a client for a local queue: without retries, as the producer requires.
pub(crate) async fn client_config(
    queue_url: &str,
    http: impl HttpClient + 'static,
) -> Result<Builder, Box<dyn Error + Send + Sync>> {
    let credentials = Credentials::new("bench", "bench", None, None, "made up for the loopback interface");
    let base = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(credentials)
        .load()
        .await;
    Ok(Builder::from(&base)
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .endpoint_url(url::Url::parse(queue_url)?.origin().ascii_serialization()))
}
