//! The SDK's client, set up for calls that somebody waits for.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Builder, StalledStreamProtectionConfig};
use aws_smithy_http_client::{Builder as HttpBuilder, tls};
use url::{Host, Url};

use crate::open::Location;

/// How long the service may take to answer a request. It answers in milliseconds.
const ATTEMPT: Duration = Duration::from_secs(2);

/// How long a request may take with all its attempts.
const REQUEST: Duration = Duration::from_secs(3);

/// How often a request is made that was throttled, or not answered.
const ATTEMPTS: u32 = 3;

/// Before the second of these. The SDK's own second is for calls that nobody waits for.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);

/// What a `dynamodb:` URL names.
pub(crate) fn location(url: &Url) -> Result<Location, String> {
    let table = url.host_str().unwrap_or_default();
    let is_allowed = |character: char| character.is_ascii_alphanumeric() || "_-.".contains(character);
    if !(3..=255).contains(&table.len()) || !table.chars().all(is_allowed) {
        return Err("dynamodb://TABLE names a table: 3 to 255 letters, digits, and _ - .".to_owned());
    }
    if !matches!(url.path(), "" | "/") || url.port().is_some() || !url.username().is_empty() {
        return Err("dynamodb://TABLE has nothing but a table and ?region=".to_owned());
    }
    let region = url.query_pairs().find(|(name, _)| name == "region");
    Ok(Location::DynamoDb { table: table.to_owned(), region: region.map(|(_, region)| region.into_owned()) })
}

/// AWS's own settings (`AWS_REGION`, `AWS_PROFILE`, `AWS_ENDPOINT_URL`, …).
///
/// On the loopback interface there is no account to have credentials for, so made-up ones will do.
pub(super) async fn config(region: Option<String>) -> Result<SdkConfig, String> {
    let http = HttpBuilder::new().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring));
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http.build_https());
    let is_set = |names: [&str; 2]| names.iter().any(|name| std::env::var_os(name).is_some());
    let is_local = is_loopback();
    if let Some(region) = region {
        loader = loader.region(Region::new(region));
    } else if is_local && !is_set(["AWS_REGION", "AWS_DEFAULT_REGION"]) {
        // Signatures name a region; an endpoint of somebody's own does not care which.
        loader = loader.region(Region::from_static("us-east-1"));
    }
    if is_local && !is_set(["AWS_ACCESS_KEY_ID", "AWS_PROFILE"]) {
        let made_up = Credentials::new(
            "drumline-local",
            "drumline-local",
            None,
            None,
            "made up for the loopback interface",
        );
        loader = loader.credentials_provider(SharedCredentialsProvider::new(made_up));
    }
    let config = loader.load().await;
    if config.region().is_none() {
        return Err("no AWS region is set: set AWS_REGION, or dynamodb://TABLE?region=REGION".to_owned());
    }
    Ok(config)
}

/// Whether the environment has an endpoint on this machine.
fn is_loopback() -> bool {
    let endpoint =
        ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"].iter().find_map(|name| std::env::var(name).ok());
    let Some(url) = endpoint.and_then(|endpoint| Url::parse(&endpoint).ok()) else { return false };
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

pub(super) fn client(config: &SdkConfig) -> Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(ATTEMPT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(REQUEST);
    let config = Builder::from(config)
        .timeout_config(timeouts.build())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_BACKOFF))
        // Answers are small; it would only watch them.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    Client::from_conf(config.build())
}
