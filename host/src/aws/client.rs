//! The SDK's clients, set up for long polling.

use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{Region, SdkConfig};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
use aws_sdk_sqs::config::{Builder, StalledStreamProtectionConfig};
use drumline::core::SqsErrorKind;
use drumline_aws::{Environment, credentials_source, is_loopback, local_credentials, rereading};
use futures_util::FutureExt as _;
use tokio::time::timeout;
use tracing::warn;
use url::Url;

use super::address::Address;
use super::lean::{Lean, SqsClientSwitch};
use super::queue_url::name_of;
use super::time_limits::{CALL_TIMEOUT, RECEIVE_SLACK};
use crate::sqs::SqsError;

/// SQS's name in the SDK's settings.
const SERVICE: &str = "SQS";

/// The time limit of connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The variables that set a region.
const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// The time to wait for the name of the credentials' provider: a profile's process or a role may take some seconds.
const SOURCE_TIMEOUT: Duration = Duration::from_secs(10);

/// The same limit for an error message.
const SOURCE_TIMEOUT_OF_ERRORS: Duration = Duration::from_secs(2);

/// Two clients that share a connection pool, because their calls have different time limits.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Their region, credentials and endpoint.
    pub config: SdkConfig,
    /// The client for receives.
    pub polls: Client,
    /// The client for everything else.
    pub calls: Client,
    /// The host of the requests.
    pub host: Arc<str>,
    /// The URL of the endpoint of the requests.
    pub(super) endpoint: Option<Url>,
    /// The client of the hot path, if it is not the SDK's.
    pub(super) lean: Option<Lean>,
    /// Warnings about the settings, as texts for the user. They are also logged.
    pub warnings: Arc<[String]>,
}

impl Clients {
    /// Lets the client that the switch selects make the requests of the hot path: receives, deletes, changes of visibility and
    /// [sends](Self::send_batch).
    pub fn by(self, switch: &SqsClientSwitch) -> Self {
        let lean = self.endpoint.as_ref().and_then(|endpoint| Lean::of(endpoint, &self.config, switch));
        Self { lean, ..self }
    }

    /// Returns the lean client while it makes the requests.
    pub(super) fn lean(&self) -> Option<&Lean> {
        self.lean.as_ref().filter(|lean| lean.is_on())
    }

    /// Returns the name of the credentials' provider. `None` if no provider has any now.
    pub async fn credentials_source(&self) -> Option<String> {
        self.source_within(SOURCE_TIMEOUT).await
    }

    async fn source_within(&self, limit: Duration) -> Option<String> {
        timeout(limit, credentials_source(&self.config)).await.ok().flatten()
    }

    /// Returns the error of a request with its context: the host, and the source of the credentials.
    pub async fn in_context(&self, error: SqsError) -> SqsError {
        let depends_on_credentials = matches!(
            error.kind,
            SqsErrorKind::Denied
                | SqsErrorKind::InvalidCredentials
                | SqsErrorKind::ExpiredCredentials
                | SqsErrorKind::ClockSkew
        );
        let mut source = None;
        if depends_on_credentials {
            source = self.source_within(SOURCE_TIMEOUT_OF_ERRORS).await;
        }
        let text = match source {
            Some(source) => format!("{} (host {}, credentials of {source})", error.text, self.host),
            None => format!("{} (host {})", error.text, self.host),
        };
        SqsError { text, ..error }
    }
}

/// Sets up the clients for the queue at `queue_url`, with AWS's own settings (`AWS_REGION`, `AWS_PROFILE`, `AWS_ENDPOINT_URL`,
/// …).
///
/// Requests are sent to the configured endpoint; else to the URL's own host, if it differs from its region's usual one; else to
/// the region's endpoint. The region is the one in the URL, else the configured one.
///
/// # Errors
/// If a setting cannot be used or no region is known, as a text for the user.
pub async fn connect(queue_url: &Url, wait_time: Duration) -> Result<Clients, String> {
    connect_in(&Environment::of_process(), None, queue_url, wait_time).await
}

/// Does the same as [`connect`], but sends requests to `endpoint` instead of one in the environment.
///
/// # Errors
/// The same as for [`connect`].
pub async fn connect_at(endpoint: &str, queue_url: &Url, wait_time: Duration) -> Result<Clients, String> {
    connect_in(&Environment::of_process(), Some(endpoint), queue_url, wait_time).await
}

/// Checks the settings that [`connect`] reads from the process's environment, without a queue.
///
/// # Errors
/// If a setting cannot be used, as a text for the user.
pub fn check_environment() -> Result<(), String> {
    drumline_aws::check(&Environment::of_process(), &[SERVICE])
}

pub(super) async fn connect_in(
    environment: &Environment,
    own_endpoint: Option<&str>,
    queue_url: &Url,
    wait_time: Duration,
) -> Result<Clients, String> {
    drumline_aws::check(environment, &[SERVICE])?;
    let address = Address::of(queue_url);
    let mut base = load(environment, queue_url, &address).await?;
    if base.region().is_none() {
        return Err(format!(
            "no AWS region is set, and {} names none: set AWS_REGION",
            name_of(queue_url).unwrap_or(queue_url.as_str())
        ));
    }
    let configured = match own_endpoint {
        Some(endpoint) => Some(endpoint.to_owned()),
        None => drumline_aws::endpoint(environment, &base, SERVICE)?,
    };
    if base.endpoint_url().is_none()
        && let (Some(endpoint), false) = (&address.endpoint, address.is_aws)
    {
        // An emulator serves all of AWS at one address.
        base = base.to_builder().endpoint_url(endpoint).build();
    }
    let endpoint = configured.or_else(|| address.endpoint.clone());
    let url = endpoint_url(&base, endpoint.as_deref());
    let host = host(url.as_ref());
    let mut warnings: Vec<String> = other_region(environment, &address).into_iter().collect();
    if let Some(endpoint) = &endpoint
        && base.use_fips() == Some(true)
        && !endpoint.contains("fips")
    {
        warnings.push(format!(
            "AWS_USE_FIPS_ENDPOINT has no effect on an endpoint that is set or named by the queue's URL: {host}"
        ));
    }
    for warning in &warnings {
        warn!(queue_url = queue_url.as_str(), "{warning}");
    }
    let client = |timeout| {
        let timeouts =
            TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(timeout);
        let mut config = Builder::from(&base)
            .timeout_config(timeouts.build())
            // The ledger repeats failed calls, because it knows how long that is useful.
            .retry_config(RetryConfig::disabled())
            // It would watch idle long polls, which takes most of an idle consumer's CPU time, and it has interrupted them.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        config.set_endpoint_url(endpoint.clone());
        if endpoint.is_some() {
            // The SDK refuses variants of an endpoint that it has not chosen.
            config = config.use_fips(false).use_dual_stack(false);
        }
        Client::from_conf(config.build())
    };
    let (polls, calls) = (client(wait_time + RECEIVE_SLACK), client(CALL_TIMEOUT));
    Ok(Clients {
        config: base,
        polls,
        calls,
        host: host.into(),
        endpoint: url,
        lean: None,
        warnings: warnings.into(),
    })
}

/// Returns the endpoint of requests, by the SDK's rules if none is given.
fn endpoint_url(config: &SdkConfig, endpoint: Option<&str>) -> Option<Url> {
    let given = endpoint.and_then(|endpoint| Url::parse(endpoint).ok());
    let resolve = || {
        let region = config.region().map(ToString::to_string);
        let parameters = Params::builder()
            .set_region(region)
            .set_use_fips(config.use_fips())
            .set_use_dual_stack(config.use_dual_stack())
            .build();
        let endpoint = DefaultResolver::new().resolve_endpoint(&parameters.ok()?).now_or_never()?;
        Url::parse(endpoint.ok()?.url()).ok()
    };
    given.or_else(resolve)
}

/// Returns the host of an endpoint, for texts.
fn host(endpoint: Option<&Url>) -> String {
    match endpoint.and_then(|url| Some((url.host_str()?, url.port()))) {
        Some((host, Some(port))) => format!("{host}:{port}"),
        Some((host, None)) => host.to_owned(),
        None => "unknown".to_owned(),
    }
}

async fn load(environment: &Environment, queue_url: &Url, address: &Address) -> Result<SdkConfig, String> {
    let mut loader = drumline_aws::loader(environment)?;
    if let Some(region) = &address.region {
        loader = loader.region(Region::new(region.clone()));
    } else if environment.first(REGIONS).is_none() && !address.is_aws {
        // Signatures contain a region; a custom endpoint accepts any.
        loader = loader.region(Region::from_static("us-east-1"));
    }
    let is_local = is_loopback(queue_url) && !environment.has_credentials();
    if is_local {
        loader = loader.credentials_provider(local_credentials());
    }
    let config = loader.load().await;
    Ok(if is_local { config } else { rereading(config, environment) })
}

/// Returns a warning if the settings contain another region than the queue's URL.
fn other_region(environment: &Environment, address: &Address) -> Option<String> {
    let region = address.region.as_deref()?;
    let (variable, other) = environment.first(REGIONS).filter(|(_, set)| *set != region)?;
    Some(format!(
        "the queue's URL is of another region than {variable} ({other}): requests are signed for {region}"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    async fn region_of(variables: [(&str, &str); 1], queue_url: &str) -> Result<String, String> {
        let url = Url::parse(queue_url).unwrap();
        let clients = connect_in(&Environment::from(variables), None, &url, Duration::ZERO).await?;
        Ok(clients.config.region().unwrap().to_string())
    }

    #[tokio::test]
    async fn the_url_s_region_comes_before_the_one_that_is_set() {
        let table = [
            ("us-east-1", "https://sqs.eu-west-1.amazonaws.com/1/q", "eu-west-1"),
            ("", "https://sqs.eu-west-1.amazonaws.com/1/q", "eu-west-1"),
            ("eu-west-1", "http://127.0.0.1:9324/0/jobs", "eu-west-1"),
            ("", "http://127.0.0.1:9324/0/jobs", "us-east-1"),
            ("us-west-2", "https://queue.amazonaws.com/1/q", "us-east-1"),
        ];
        for (set, url, region) in table {
            assert_eq!(region_of([("AWS_REGION", set)], url).await.as_deref(), Ok(region), "{set} {url}");
        }
    }

    #[tokio::test]
    async fn fips_and_dual_stack_endpoints_are_those_of_the_sdk() {
        let url = Url::parse("https://sqs.us-east-1.amazonaws.com/1/q").unwrap();
        let table = [
            ("AWS_USE_FIPS_ENDPOINT", "https://sqs-fips.us-east-1.amazonaws.com/"),
            ("AWS_USE_DUALSTACK_ENDPOINT", "https://sqs.us-east-1.api.aws/"),
            ("AWS_REGION", "https://sqs.us-east-1.amazonaws.com/"),
        ];
        for (variable, endpoint) in table {
            let value = if variable == "AWS_REGION" { "us-east-1" } else { "true" };
            let environment = Environment::from([(variable, value)]);
            let clients = connect_in(&environment, None, &url, Duration::ZERO).await.unwrap();
            assert_eq!(clients.endpoint.as_ref().map(Url::as_str), Some(endpoint), "{variable}");
        }
    }

    #[tokio::test]
    async fn an_endpoint_given_in_code_comes_before_the_one_that_is_set() {
        let environment = Environment::from([("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")]);
        let url = Url::parse("http://127.0.0.1:9324/0/jobs").unwrap();
        for (own, host) in [(None, "127.0.0.1:4566"), (Some("http://127.0.0.1:9324"), "127.0.0.1:9324")] {
            let clients = connect_in(&environment, own, &url, Duration::ZERO).await.unwrap();
            assert_eq!(&*clients.host, host);
        }
    }

    #[tokio::test]
    async fn a_setting_that_cannot_be_used_is_named() {
        for (name, value) in [
            ("AWS_ENDPOINT_URL_SQS", "localhost:4566"),
            ("AWS_CA_BUNDLE", "/nowhere/bundle.pem"),
            ("HTTPS_PROXY", "socks5://proxy"),
        ] {
            let problem = region_of([(name, value)], "https://sqs.eu-west-1.amazonaws.com/1/q").await;
            assert!(problem.as_ref().is_err_and(|text| text.contains(name)), "{problem:?}");
        }
    }
}
