//! The SDK's clients, set up for long polling.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{Builder, StalledStreamProtectionConfig};
use aws_smithy_http_client::{Builder as HttpBuilder, tls};
use url::{Host, Url};

/// How much longer than its wait time a receive may take. The SDK's calls can hang for ever without a limit.
const RECEIVE_SLACK: Duration = Duration::from_secs(10);

/// How long any other call may take: SQS answers in milliseconds, and a lease may be running out meanwhile.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Two clients over one connection pool, because their calls may take differently long.
#[derive(Clone, Debug)]
pub struct Clients {
    /// What they were made of: region, credentials, endpoint.
    pub config: SdkConfig,
    /// For receives.
    pub polls: Client,
    /// For everything else.
    pub calls: Client,
}

/// Sets the clients up for queues like `queue_url`, with AWS's own settings (`AWS_REGION`, `AWS_PROFILE`,
/// `AWS_ENDPOINT_URL`, …) where they are given.
///
/// What they leave open is read from the queue's URL: the region of an AWS host, the endpoint of any other. On the
/// loopback interface there is no account to have credentials for, so made-up ones will do.
///
/// # Errors
/// Where no region can be told, in words for the user.
pub async fn connect(queue_url: &Url, wait_time: Duration) -> Result<Clients, String> {
    let mut base = load(queue_url).await;
    if base.region().is_none() {
        return Err(format!("no AWS region is set, and {queue_url} does not tell one: set AWS_REGION"));
    }
    if base.endpoint_url().is_none()
        && let Some(endpoint) = own_endpoint(queue_url)
    {
        // As a default for all services, so that an endpoint that is set for SQS alone still comes first.
        base = base.to_builder().endpoint_url(endpoint).build();
    }
    let client = |timeout| {
        let timeouts =
            TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(timeout);
        let config = Builder::from(&base)
            .timeout_config(timeouts.build())
            // Failed calls are tried again by the ledger, which knows how long that makes sense.
            .retry_config(RetryConfig::disabled())
            // It would watch idle long polls at the cost of most of an idle consumer's CPU, and has broken them.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        Client::from_conf(config.build())
    };
    let (polls, calls) = (client(wait_time + RECEIVE_SLACK), client(CALL_TIMEOUT));
    Ok(Clients { config: base, polls, calls })
}

async fn load(queue_url: &Url) -> SdkConfig {
    let http = HttpBuilder::new().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring));
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http.build_https());
    if std::env::var_os("AWS_REGION").is_none() && std::env::var_os("AWS_DEFAULT_REGION").is_none() {
        if let Some(region) = region_of(queue_url) {
            loader = loader.region(Region::new(region));
        } else if own_endpoint(queue_url).is_some() {
            // Signatures name a region; an endpoint of somebody's own does not care which.
            loader = loader.region(Region::from_static("us-east-1"));
        }
    }
    if is_loopback(queue_url) && !environment_has_credentials() {
        let made_up = Credentials::new(
            "drumline-local",
            "drumline-local",
            None,
            None,
            "made up for the loopback interface",
        );
        loader = loader.credentials_provider(SharedCredentialsProvider::new(made_up));
    }
    loader.load().await
}

fn environment_has_credentials() -> bool {
    ["AWS_ACCESS_KEY_ID", "AWS_PROFILE"].iter().any(|name| std::env::var_os(name).is_some())
}

/// `eu-west-1` of `https://sqs.eu-west-1.amazonaws.com/…`, also in other partitions and of dual-stack hosts.
fn region_of(queue_url: &Url) -> Option<String> {
    let host = queue_url.host_str()?;
    let labels: Vec<&str> = host.split('.').collect();
    match labels[..] {
        // The second kind is the hosts of old: eu-west-1.queue.amazonaws.com.
        ["sqs" | "sqs-fips", region, "amazonaws" | "api", ..] | [region, "queue", "amazonaws", ..] => {
            Some(region.to_owned())
        }
        _ => None,
    }
}

/// The endpoint of a queue that is not AWS's: where its URL points.
fn own_endpoint(queue_url: &Url) -> Option<String> {
    let host = queue_url.host_str()?;
    let is_aws = host.split('.').any(|label| label == "amazonaws" || label == "aws");
    (!is_aws).then(|| queue_url.origin().ascii_serialization())
}

fn is_loopback(queue_url: &Url) -> bool {
    match queue_url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_queue_url_tells_its_region_or_its_endpoint() {
        let table = [
            ("https://sqs.eu-west-1.amazonaws.com/1/q", Some("eu-west-1"), None, false),
            ("https://sqs.cn-north-1.amazonaws.com.cn/1/q", Some("cn-north-1"), None, false),
            ("https://sqs.us-east-1.api.aws/1/q", Some("us-east-1"), None, false),
            ("https://us-west-2.queue.amazonaws.com/1/q", Some("us-west-2"), None, false),
            ("https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com/1/q", None, None, false),
            ("http://127.0.0.1:9324/0/jobs", None, Some("http://127.0.0.1:9324"), true),
            ("http://[::1]:9324/0/jobs", None, Some("http://[::1]:9324"), true),
            ("http://localhost/0/jobs", None, Some("http://localhost"), true),
            ("http://sqs.internal:9324/0/jobs", None, Some("http://sqs.internal:9324"), false),
        ];
        for (url, region, endpoint, loopback) in table {
            let url = Url::parse(url).unwrap();
            assert_eq!(region_of(&url).as_deref(), region, "{url}");
            assert_eq!(own_endpoint(&url).as_deref(), endpoint, "{url}");
            assert_eq!(is_loopback(&url), loopback, "{url}");
        }
    }
}
