//! The credentials of requests, kept until shortly before they expire.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use tokio::time::timeout;

use crate::identity::Identity;

/// The time before their expiry at which credentials are replaced: longer than a request takes, and longer than clocks differ.
const REFRESH_BEFORE: Duration = Duration::from_secs(60);

/// The time for which credentials without an expiry are kept, as in the SDK: a file or a process may return others.
const KEEP: Duration = Duration::from_secs(15 * 60);

/// The time for which a request waits for new credentials while the known ones are still valid.
const WAIT_WHILE_GOOD: Duration = Duration::from_secs(2);

/// The time after which a provider that had no credentials is asked again while the known ones are still valid.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// The credentials of requests.
pub(crate) struct CredentialsCache {
    provider: SharedCredentialsProvider,
    kept: Mutex<Option<Kept>>,
    /// Held by the one request that asks the provider.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Kept {
    identity: Arc<Identity>,
    refresh_at: SystemTime,
}

impl Kept {
    fn is_fresh(&self) -> bool {
        SystemTime::now() < self.refresh_at
    }
}

/// Shows no credentials.
impl fmt::Debug for CredentialsCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialsCache").finish_non_exhaustive()
    }
}

impl CredentialsCache {
    pub(crate) fn new(provider: SharedCredentialsProvider) -> Self {
        Self { provider, kept: Mutex::default(), asking: tokio::sync::Mutex::default() }
    }

    /// Returns the credentials for signing a request.
    pub(crate) async fn get(&self) -> Result<Arc<Identity>, CredentialsError> {
        let kept = self.lock().clone();
        let good = match kept {
            Some(kept) if kept.is_fresh() => return Ok(kept.identity),
            kept => kept.map(|kept| kept.identity).filter(|identity| identity.is_good()),
        };
        let _asking = match (self.asking.try_lock(), &good) {
            (Ok(asking), _) => asking,
            // One asking request is enough.
            (Err(_), Some(good)) => return Ok(Arc::clone(good)),
            (Err(_), None) => self.asking.lock().await,
        };
        if let Some(kept) = self.lock().clone().filter(Kept::is_fresh) {
            return Ok(kept.identity);
        }
        let Some(good) = good else { return self.ask().await };
        if let Ok(Ok(identity)) = timeout(WAIT_WHILE_GOOD, self.ask()).await {
            return Ok(identity);
        }
        tracing::debug!("no new credentials yet: requests are signed with the known ones");
        let refresh_at = SystemTime::now() + ASK_AGAIN;
        *self.lock() = Some(Kept { identity: Arc::clone(&good), refresh_at });
        Ok(good)
    }

    /// Asks the provider.
    async fn ask(&self) -> Result<Arc<Identity>, CredentialsError> {
        let credentials = self.provider.provide_credentials().await?;
        let end = credentials.expiry().and_then(|end| end.checked_sub(REFRESH_BEFORE));
        let is_known = |kept: &Kept| {
            let known = &kept.identity.credentials;
            known.access_key_id() == credentials.access_key_id() && known.expiry() == credentials.expiry()
        };
        // A provider that keeps its last credentials is not asked at each request in their last minute.
        let at_least = if self.lock().as_ref().is_some_and(is_known) { ASK_AGAIN } else { Duration::ZERO };
        let now = SystemTime::now();
        let refresh_at = end.map_or(now + KEEP, |end| end.max(now + at_least));
        let identity = Arc::new(Identity::new(credentials)?);
        *self.lock() = Some(Kept { identity: Arc::clone(&identity), refresh_at });
        Ok(identity)
    }

    /// Forgets credentials that SQS has refused, unless they were already replaced.
    pub(crate) fn refused(&self, identity: &Arc<Identity>) {
        let mut kept = self.lock();
        if kept.as_ref().is_some_and(|kept| Arc::ptr_eq(&kept.identity, identity)) {
            *kept = None;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
