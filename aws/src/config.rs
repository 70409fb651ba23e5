//! What every client of AWS has in common.

use aws_config::{BehaviorVersion, ConfigLoader};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;

use crate::environment::Environment;
use crate::http;

/// The SDK's defaults that all clients use. Pinned, so that an update of the SDK changes none of them unnoticed.
fn behavior_version() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// Returns a loader of AWS's settings from `environment`, with the process's way to the network.
///
/// # Errors
/// If a proxy or `AWS_CA_BUNDLE` cannot be used, in words for the user.
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
