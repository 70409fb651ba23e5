//! The setup that all AWS clients share.

use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};

use crate::environment::Environment;
use crate::http;

/// The SDK's defaults that all clients use. They are pinned, so that an update of the SDK does not change them unnoticed.
fn behavior_version() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// Returns a loader of AWS's settings from `environment`, with the process's HTTP client.
///
/// # Errors
///
/// Returns an error text for the user if a proxy or `AWS_CA_BUNDLE` is invalid.
pub fn loader(environment: &Environment) -> Result<ConfigLoader, String> {
    let http = http::client(environment)?;
    Ok(aws_config::defaults(behavior_version()).env(environment.for_sdk()).http_client(http))
}

/// Returns credentials for a service on the loopback interface, which has no accounts.
pub fn local_credentials() -> SharedCredentialsProvider {
    let made_up = Credentials::new(
        "drumline-local",
        "drumline-local",
        None,
        None,
        "made up for the loopback interface",
    );
    SharedCredentialsProvider::new(made_up)
}

/// Returns the name of the provider from which the credentials come, for messages. `None` if there are none now.
pub async fn credentials_source(config: &SdkConfig) -> Option<String> {
    let credentials = config.credentials_provider()?.provide_credentials().await.ok()?;
    // Only this text contains the name. It contains no secrets.
    let text = format!("{credentials:?}");
    let (_, rest) = text.split_once("provider_name: \"")?;
    rest.split_once('"').map(|(name, _)| name.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn the_source_of_credentials_is_named() {
        let set = [("AWS_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "s")];
        let config = loader(&Environment::from(set)).unwrap().load().await;
        assert_eq!(credentials_source(&config).await.as_deref(), Some("EnvironmentVariable"));
    }
}
