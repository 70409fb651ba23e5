//! The credentials of requests, kept until shortly before they end.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};

/// How long before their end credentials are replaced: longer than a request takes, and than clocks differ.
const REFRESH_BEFORE: Duration = Duration::from_secs(60);

/// The time for which credentials without an end are kept, as the SDK has it: a file or a process may give other ones.
const KEEP: Duration = Duration::from_secs(15 * 60);

/// The credentials of requests.
pub(crate) struct CredentialsCache {
    provider: SharedCredentialsProvider,
    kept: Mutex<Option<Kept>>,
    /// One request asks the provider at a time.
    asking: tokio::sync::Mutex<()>,
}

struct Kept {
    credentials: Credentials,
    refresh_at: SystemTime,
}

/// No credentials in it.
impl fmt::Debug for CredentialsCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialsCache").finish_non_exhaustive()
    }
}

impl CredentialsCache {
    pub(crate) fn new(provider: SharedCredentialsProvider) -> Self {
        Self { provider, kept: Mutex::default(), asking: tokio::sync::Mutex::default() }
    }

    /// Returns the credentials to sign a request with.
    pub(crate) async fn get(&self) -> Result<Credentials, CredentialsError> {
        if let Some(credentials) = self.fresh() {
            return Ok(credentials);
        }
        let _asking = self.asking.lock().await;
        if let Some(credentials) = self.fresh() {
            return Ok(credentials);
        }
        let now = SystemTime::now();
        match self.provider.provide_credentials().await {
            Ok(credentials) => {
                let end = credentials.expiry().and_then(|end| end.checked_sub(REFRESH_BEFORE));
                let refresh_at = end.unwrap_or(now + KEEP);
                *self.lock() = Some(Kept { credentials: credentials.clone(), refresh_at });
                Ok(credentials)
            }
            // Those that are known may still be good: SQS decides.
            Err(error) => match &*self.lock() {
                Some(kept) if kept.credentials.expiry().is_none_or(|end| end > now) => {
                    Ok(kept.credentials.clone())
                }
                _ => Err(error),
            },
        }
    }

    /// Forgets credentials that SQS has refused.
    pub(crate) fn refused(&self, credentials: &Credentials) {
        let mut kept = self.lock();
        if kept.as_ref().is_some_and(|kept| kept.credentials.access_key_id() == credentials.access_key_id()) {
            *kept = None;
        }
    }

    fn fresh(&self) -> Option<Credentials> {
        let kept = self.lock();
        let kept = kept.as_ref().filter(|kept| SystemTime::now() < kept.refresh_at);
        kept.map(|kept| kept.credentials.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
