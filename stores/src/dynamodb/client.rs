//! The SDK's client, configured for calls on which callers wait.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{Region, SdkConfig};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Builder, StalledStreamProtectionConfig};
use drumline_aws::{Environment, is_loopback, local_credentials};
use url::Url;

use crate::open::Location;

/// DynamoDB's name in the SDK's settings.
const SERVICE: &str = "DynamoDB";

/// The time limit of one attempt. The service usually answers within milliseconds.
const ATTEMPT: Duration = Duration::from_secs(2);

/// The time limit of a request with all its attempts.
const REQUEST: Duration = Duration::from_secs(3);

/// The number of attempts for a request that was throttled or not answered.
const ATTEMPTS: u32 = 3;

/// The wait before the second attempt. The SDK's default of one second is too long for callers that wait.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);

/// Returns the location that a `dynamodb:` URL names.
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

/// Loads AWS's usual settings (`AWS_REGION`, `AWS_PROFILE`, `AWS_ENDPOINT_URL`, …).
///
/// An endpoint on the loopback interface needs no real credentials, so placeholders are used.
pub(super) async fn config(region: Option<String>) -> Result<SdkConfig, String> {
    let environment = Environment::of_process();
    drumline_aws::check(&environment, &[SERVICE])?;
    let mut loader = drumline_aws::loader(&environment)?;
    let is_local = has_loopback_endpoint(&environment);
    if let Some(region) = region {
        loader = loader.region(Region::new(region));
    } else if is_local && environment.first(["AWS_REGION", "AWS_DEFAULT_REGION"]).is_none() {
        // Signatures need a region; a local endpoint accepts any.
        loader = loader.region(Region::from_static("us-east-1"));
    }
    if is_local && !environment.has_credentials() {
        loader = loader.credentials_provider(local_credentials());
    }
    let config = loader.load().await;
    if config.region().is_none() {
        return Err("no AWS region is set: set AWS_REGION, or dynamodb://TABLE?region=REGION".to_owned());
    }
    // An endpoint in the shared config file is known only now.
    drumline_aws::endpoint(&environment, &config, SERVICE)?;
    Ok(config)
}

/// Returns true if the environment has an endpoint on this machine.
fn has_loopback_endpoint(environment: &Environment) -> bool {
    let endpoint = environment.first(["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"]);
    endpoint.and_then(|(_, endpoint)| Url::parse(endpoint).ok()).is_some_and(|url| is_loopback(&url))
}

pub(super) fn client(config: &SdkConfig) -> Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(ATTEMPT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(REQUEST);
    let config = Builder::from(config)
        .timeout_config(timeouts.build())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_BACKOFF))
        // Responses are small, so this protection would only cost time.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    Client::from_conf(config.build())
}
