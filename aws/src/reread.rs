//! Credentials without an end, read again.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use tracing::{info, warn};

use crate::causes::with_causes;
use crate::config::loader;
use crate::environment::Environment;

/// Has credentials without an end read again each time they are asked for. Those of a profile's file are replaced by people and programs,
/// and the SDK's chain reads files once.
///
/// A program that replaces a file may truncate it first. While it cannot be read, the last credentials stay, until their end if they
/// have one. The chain then goes on to the next provider, such as the role of the instance: its credentials count only if the file
/// stays unreadable.
pub fn rereading(config: SdkConfig, environment: &Environment) -> SdkConfig {
    let Some(provider) = config.credentials_provider() else { return config };
    let chain = Mutex::new(Chain { provider, last: None });
    let provider = Rereading { environment: environment.clone(), region: config.region().cloned(), chain };
    config.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build()
}

/// A program has written a file after this time.
const WRITTEN_WITHIN: Duration = Duration::from_secs(60);

struct Rereading {
    environment: Environment,
    region: Option<Region>,
    chain: Mutex<Chain>,
}

/// The SDK's chain of providers.
#[derive(Clone)]
struct Chain {
    provider: SharedCredentialsProvider,
    last: Option<Last>,
}

/// The last credentials that the chain has given.
#[derive(Clone)]
struct Last {
    credentials: Credentials,
    /// The first time at which a chain gave none, or those of another provider.
    kept_since: Option<Instant>,
}

impl Last {
    /// Returns true if another chain may give other credentials.
    fn is_endless(&self) -> bool {
        self.credentials.expiry().is_none()
    }

    /// Returns true if these are of a file that is probably being written, and the others, which end, of another provider.
    fn waits_for_file(&self, others: &Credentials) -> bool {
        let is_written = self.kept_since.is_none_or(|since| since.elapsed() < WRITTEN_WITHIN);
        self.is_endless() && others.expiry().is_some() && is_written
    }

    fn is_valid_at(&self, now: SystemTime) -> bool {
        self.credentials.expiry().is_none_or(|end| now < end)
    }
}

/// No variable in it.
impl fmt::Debug for Rereading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rereading").finish_non_exhaustive()
    }
}

impl Rereading {
    async fn credentials(&self) -> provider::Result {
        let Chain { mut provider, last } = self.lock().clone();
        if last.as_ref().is_some_and(Last::is_endless)
            && let Some(other) = self.another_chain().await
        {
            provider = other;
        }
        match provider.provide_credentials().await {
            Ok(other) if last.as_ref().is_some_and(|last| last.waits_for_file(&other)) => {
                self.keep(last, CredentialsError::not_loaded("only another provider has credentials"))
            }
            Ok(credentials) => {
                if last.is_some_and(|last| last.kept_since.is_some()) {
                    info!("credentials can be read again");
                }
                let last = Last { credentials: credentials.clone(), kept_since: None };
                *self.lock() = Chain { provider, last: Some(last) };
                Ok(credentials)
            }
            Err(error) => self.keep(last, error),
        }
    }

    /// Returns the last credentials instead of an error, if they are valid.
    fn keep(&self, last: Option<Last>, error: CredentialsError) -> provider::Result {
        let Some(last) = last.filter(|last| last.is_valid_at(SystemTime::now())) else { return Err(error) };
        if last.kept_since.is_none() {
            warn!(error = with_causes(&error), "credentials cannot be read: the last ones are kept");
        }
        if let Some(last) = &mut self.lock().last {
            last.kept_since.get_or_insert_with(Instant::now);
        }
        Ok(last.credentials)
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
    use std::time::Duration;

    use super::*;

    fn write(file: &Path, key: &str) {
        let text = format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = s\n");
        std::fs::write(file, text).unwrap();
    }

    /// Returns the variables of a profile in this folder.
    fn environment(folder: &Path) -> Environment {
        let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        Environment::from([
            ("AWS_REGION", "eu-west-1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_SHARED_CREDENTIALS_FILE", &*file("credentials")),
            ("AWS_CONFIG_FILE", &*file("config")),
        ])
    }

    #[tokio::test]
    async fn a_file_is_read_each_time_and_the_last_credentials_stay_while_it_is_broken() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials");
        write(&file, "FIRST");
        let environment = environment(folder.path());
        let config = rereading(loader(&environment).unwrap().load().await, &environment);
        let provider = config.credentials_provider().unwrap();
        let key = async || provider.provide_credentials().await.map(|given| given.access_key_id().to_owned());
        assert_eq!(key().await.unwrap(), "FIRST");
        write(&file, "SECOND");
        assert_eq!(key().await.unwrap(), "SECOND");
        for truncated in
            ["", "[defau", "[default]\naws_access_key_id", "[default]\naws_access_key_id = THIRD\n"]
        {
            std::fs::write(&file, truncated).unwrap();
            assert_eq!(key().await.unwrap(), "SECOND", "{truncated:?}");
        }
        write(&file, "THIRD");
        assert_eq!(key().await.unwrap(), "THIRD");
        assert_eq!(config.region().map(AsRef::as_ref), Some("eu-west-1"));
        let chain = Mutex::new(Chain { provider, last: None });
        let rereading = Rereading { environment, region: None, chain };
        assert_eq!(format!("{rereading:?}"), "Rereading { .. }");
    }

    #[tokio::test]
    async fn a_file_that_is_broken_from_the_start_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("credentials"), "[default]\naws_access_key_id = A\n").unwrap();
        let environment = environment(folder.path());
        let config = rereading(loader(&environment).unwrap().load().await, &environment);
        assert!(config.credentials_provider().unwrap().provide_credentials().await.is_err());
    }

    #[test]
    fn credentials_are_kept_until_their_end() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let last = |end: Option<SystemTime>| Last {
            credentials: Credentials::new("key", "secret", None, end, "test"),
            kept_since: None,
        };
        assert!(last(None).is_endless() && last(None).is_valid_at(now));
        let soon = last(Some(now + Duration::from_secs(1)));
        assert!(
            !soon.is_endless() && soon.is_valid_at(now) && !soon.is_valid_at(now + Duration::from_secs(1))
        );
    }

    #[test]
    fn a_role_replaces_keys_of_a_file_only_if_the_file_stays_unreadable() {
        let of = |end: Option<SystemTime>| Credentials::new("key", "secret", None, end, "test");
        let (of_file, of_role) = (of(None), of(Some(SystemTime::now() + Duration::from_secs(3_600))));
        let last = |credentials: &Credentials, kept_secs: Option<u64>| {
            let since = |secs| Instant::now().checked_sub(Duration::from_secs(secs)).unwrap();
            Last { credentials: credentials.clone(), kept_since: kept_secs.map(since) }
        };
        for (last, other, expected) in [
            (last(&of_file, None), &of_role, true),
            (last(&of_file, Some(50)), &of_role, true),
            (last(&of_file, Some(70)), &of_role, false),
            (last(&of_file, None), &of_file, false),
            (last(&of_role, None), &of_role, false),
        ] {
            assert_eq!(last.waits_for_file(other), expected);
        }
    }
}
