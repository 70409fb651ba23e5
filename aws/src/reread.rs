//! Credentials without an end, read again.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_config::{Region, SdkConfig};
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};

use crate::config::loader;
use crate::environment::Environment;

/// Has credentials without an end read again each time they are asked for. Those of a profile's file are replaced by people and programs,
/// and the SDK's chain reads files once.
pub fn rereading(config: SdkConfig, environment: &Environment) -> SdkConfig {
    let Some(provider) = config.credentials_provider() else { return config };
    let chain = Mutex::new(Chain { provider, is_read: false });
    let provider = Rereading { environment: environment.clone(), region: config.region().cloned(), chain };
    config.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build()
}

struct Rereading {
    environment: Environment,
    region: Option<Region>,
    chain: Mutex<Chain>,
}

/// The SDK's chain of providers.
#[derive(Clone)]
struct Chain {
    provider: SharedCredentialsProvider,
    /// It has given credentials without an end, so that another chain may give others.
    is_read: bool,
}

/// No variable in it.
impl fmt::Debug for Rereading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rereading").finish_non_exhaustive()
    }
}

impl Rereading {
    async fn credentials(&self) -> provider::Result {
        let Chain { mut provider, is_read } = self.lock().clone();
        if is_read && let Some(other) = self.another_chain().await {
            provider = other;
        }
        let credentials = provider.provide_credentials().await?;
        *self.lock() = Chain { provider, is_read: credentials.expiry().is_none() };
        Ok(credentials)
    }

    async fn another_chain(&self) -> Option<SharedCredentialsProvider> {
        let loader = loader(&self.environment).ok()?.region(self.region.clone());
        loader.load().await.credentials_provider()
    }

    fn lock(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProvideCredentials for Rereading {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;

    fn write(file: &Path, key: &str) {
        let text = format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = s\n");
        std::fs::write(file, text).unwrap();
    }

    #[tokio::test]
    async fn a_file_is_read_each_time_and_a_broken_one_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials");
        write(&file, "FIRST");
        let environment = Environment::from([
            ("AWS_REGION", "eu-west-1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap()),
            ("AWS_CONFIG_FILE", folder.path().join("config").to_str().unwrap()),
        ]);
        let config = rereading(loader(&environment).unwrap().load().await, &environment);
        let provider = config.credentials_provider().unwrap();
        let key = async || provider.provide_credentials().await.map(|given| given.access_key_id().to_owned());
        assert_eq!(key().await.unwrap(), "FIRST");
        write(&file, "SECOND");
        assert_eq!(key().await.unwrap(), "SECOND");
        std::fs::write(&file, "[default]\naws_access_key_id = THIRD\n").unwrap();
        assert!(key().await.is_err());
        write(&file, "THIRD");
        assert_eq!(key().await.unwrap(), "THIRD");
        assert_eq!(config.region().map(AsRef::as_ref), Some("eu-west-1"));
        assert_eq!(
            format!(
                "{:?}",
                Rereading {
                    environment,
                    region: None,
                    chain: Mutex::new(Chain { provider, is_read: false })
                }
            ),
            "Rereading { .. }"
        );
    }
}
