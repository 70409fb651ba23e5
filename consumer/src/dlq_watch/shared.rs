//! The failures of workers that do not lead, in a small document of the store, which the leader takes before it looks into the
//! DLQ.

use std::sync::Arc;
use std::time::Duration;

use drumline_dlq::letter_id::LetterId;
use drumline_dlq::mask::mask;
use drumline_dlq::watch::Death;
use drumline_store::{MAX_DOCUMENT_BYTES, Store, StoreError};
use serde::{Deserialize, Serialize};
use tracing::debug;

/// The kind of the documents.
const DOCUMENTS: &str = "dlq-failures";

/// The time for which they are kept: about as long as a failure explains a letter.
const KEEP: Duration = Duration::from_secs(10 * 60);

/// The document after the leader has taken all failures.
const NOTHING: &str = "[]";

/// The number of tries for a change, if other workers change the document at the same time.
const TRIES: u32 = 5;

/// The failures that workers share about one DLQ.
pub(super) struct SharedFailures {
    store: Arc<dyn Store>,
    dlq_arn: String,
}

/// Failures that differ only in their messages. The reason is masked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    origin: Option<String>,
    #[serde(rename = "type")]
    job_type: Option<String>,
    class: Option<String>,
    reason: String,
    /// The message ids in hexadecimal.
    messages: Vec<String>,
}

impl Group {
    fn has(&self, death: &Death, reason: &str) -> bool {
        (&self.origin, &self.job_type, &self.class, &*self.reason)
            == (&death.origin, &death.job_type, &death.class, reason)
    }

    fn deaths(self) -> impl Iterator<Item = Death> {
        let Self { origin, job_type, class, reason, messages } = self;
        messages.into_iter().filter_map(move |message| {
            Some(Death {
                message: LetterId::from(u128::from_str_radix(&message, 16).ok()?),
                origin: origin.clone(),
                job_type: job_type.clone(),
                class: class.clone(),
                reason: reason.clone(),
            })
        })
    }
}

impl SharedFailures {
    pub(super) fn new(store: Arc<dyn Store>, dlq_arn: &str) -> Self {
        Self { store, dlq_arn: dlq_arn.to_owned() }
    }

    /// Adds failures for the leader while there is space; the leader looks at the letters of the others.
    pub(super) async fn add(&self, deaths: Vec<Death>) {
        if deaths.is_empty() {
            return;
        }
        let added = self.change(|groups| {
            for death in &deaths {
                add(groups, death);
            }
            fitting(groups)
        });
        if let Err(error) = added.await {
            debug!(dlq = self.dlq_arn, %error, "failures not shared");
        }
    }

    /// Takes the failures that other workers have added.
    pub(super) async fn take(&self) -> Vec<Death> {
        let mut taken = Vec::new();
        let result = self.change(|groups| {
            taken = std::mem::take(groups);
            NOTHING.to_owned()
        });
        if let Err(error) = result.await {
            debug!(dlq = self.dlq_arn, %error, "failures of other workers unknown");
            return Vec::new();
        }
        taken.into_iter().flat_map(Group::deaths).collect()
    }

    async fn change(&self, mut change: impl FnMut(&mut Vec<Group>) -> String) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let before = self.store.document(DOCUMENTS, &self.dlq_arn).await?;
            let mut groups: Vec<Group> =
                before.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
            let after = change(&mut groups);
            if before.as_deref().unwrap_or(NOTHING) == after {
                return Ok(());
            }
            let put = self.store.put_document(DOCUMENTS, &self.dlq_arn, before.as_deref(), &after, KEEP);
            if put.await? {
                return Ok(());
            }
        }
        Err(StoreError::Refused("other workers change the document all the time".into()))
    }
}

fn add(groups: &mut Vec<Group>, death: &Death) {
    let reason = mask(&death.reason);
    let message = format!("{:x}", death.message.to_u128());
    if let Some(group) = groups.iter_mut().find(|group| group.has(death, &reason)) {
        group.messages.push(message);
        return;
    }
    let Death { origin, job_type, class, .. } = death.clone();
    groups.push(Group { origin, job_type, class, reason, messages: vec![message] });
}

/// Returns the document, with as many messages of each group as fit.
fn fitting(groups: &mut Vec<Group>) -> String {
    loop {
        let text = serde_json::to_string(&groups).unwrap_or_else(|_| NOTHING.to_owned());
        if text.len() <= MAX_DOCUMENT_BYTES {
            return text;
        }
        let longest = groups.iter().map(|group| group.messages.len()).max().unwrap_or_default();
        if longest <= 1 {
            groups.pop();
        }
        for group in groups.iter_mut() {
            group.messages.truncate((longest / 2).max(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use drumline_dlq::fingerprint::Fingerprint;
    use drumline_store::{MemoryStore, Retention};

    use super::*;

    fn shared() -> SharedFailures {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new("w".into(), Retention::default()));
        SharedFailures::new(store, "arn:aws:sqs:eu-west-1:123456789012:jobs-dlq")
    }

    fn death(id: u128, reason: &str) -> Death {
        Death {
            message: LetterId::from(id),
            origin: Some("jobs".to_owned()),
            job_type: None,
            class: Some("rejected".to_owned()),
            reason: reason.to_owned(),
        }
    }

    #[tokio::test]
    async fn what_workers_add_is_taken_once_with_its_fingerprint() {
        let shared = shared();
        assert!(shared.take().await.is_empty());
        shared.add(vec![death(1, "no user 17"), death(u128::MAX, "no user 4")]).await;
        shared.add(vec![death(3, "too late"), death(4, "no user \"x\"")]).await;
        let taken = shared.take().await;
        let ids: Vec<u128> = taken.iter().map(|death| death.message.to_u128()).collect();
        assert_eq!(ids, [1, u128::MAX, 3, 4]);
        assert_eq!(Fingerprint::of_reason(&taken[0].reason), Fingerprint::of_reason("no user 17"));
        assert_eq!(taken[2], death(3, "too late"));
        assert!(shared.take().await.is_empty());
    }

    #[tokio::test]
    async fn what_does_not_fit_is_left_out() {
        let shared = shared();
        shared.add((0..5_000).map(|id| death(u128::MAX - id, "no user 17")).collect()).await;
        let taken = shared.take().await;
        assert!(taken.len() > 200, "{}", taken.len());
        let reasons = (0..200).map(|id| death(id, &"é".repeat(usize::try_from(id).unwrap_or_default() + 1)));
        shared.add(reasons.collect()).await;
        let taken = shared.take().await;
        assert!(taken.len() > 20, "{}", taken.len());
    }
}
