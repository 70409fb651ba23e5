//! One leader among the workers that share a store: the one that has the claim of the watch. What it has reported is kept in the store
//! for the next one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drumline::core::{Claim, ClaimRequest, ClaimResult, Ownership, ReleaseClaim};
use drumline::message::Identity;
use drumline_dlq::fingerprint::Fingerprint;
use drumline_store::Store;
use tokio::time::Instant;
use tracing::{debug, info};

/// The scope of the claim.
const SCOPE: &str = "drumline";

/// The type of the claim, which is no job's.
pub(crate) const WATCH_TYPE: &str = "drumline.dlq-watch";

/// The kind of the documents that say what was reported.
const DOCUMENTS: &str = "dlq-watch";

/// For how long they are kept: longer than a DLQ keeps its letters.
const KEEP: Duration = Duration::from_secs(15 * 24 * 60 * 60);

/// The shortest lease of the claim.
const SHORTEST_LEASE: Duration = Duration::from_secs(90);

/// A worker that may lead.
pub(crate) struct Leader {
    store: Arc<dyn Store>,
    request: ClaimRequest,
    held: Option<Held>,
    /// What is known to be in the store.
    kept: Option<String>,
}

struct Held {
    claim: Arc<Claim>,
    until: Instant,
}

impl Leader {
    /// A worker that asks to lead the watch over a DLQ, each `every`.
    pub(crate) fn new(store: Arc<dyn Store>, dlq_arn: &str, every: Duration) -> Self {
        let id = format!("{WATCH_TYPE}:{dlq_arn}");
        let request = ClaimRequest {
            identity: Arc::new(Identity::global(SCOPE, WATCH_TYPE, id)),
            legacy_key: None,
            payload_hash: 0,
            lock: None,
            length: (every * 3).max(SHORTEST_LEASE),
            queue: dlq_arn.rsplit(':').next().unwrap_or_default().into(),
            message_id: "watch".into(),
            receive_count: 1,
        };
        Self { store, request, held: None, kept: None }
    }

    /// Asks to lead, or renews the claim. Returns `None` if another worker leads; else what an earlier leader has reported, once, and
    /// nothing afterwards.
    pub(crate) async fn lead(&mut self) -> Option<BTreeMap<Fingerprint, u64>> {
        let now = Instant::now();
        let until = now + self.request.length;
        if let Some(held) = &mut self.held {
            match self.store.renew(&held.claim, self.request.length).await {
                Ok(Ownership::Kept) => held.until = until,
                Ok(Ownership::Lost) => self.held = None,
                // It leads for as long as no other worker can have the claim.
                Err(error) => {
                    debug!(%error, "claim of the DLQ watch not renewed");
                    if held.until <= now {
                        self.held = None;
                        return None;
                    }
                }
            }
            if self.held.is_some() {
                return Some(BTreeMap::new());
            }
        }
        match self.store.claim(&self.request).await {
            Ok(ClaimResult::Granted(grant)) => self.held = Some(Held { claim: grant.claim, until }),
            Ok(_) => return None,
            Err(error) => {
                debug!(%error, "claim of the DLQ watch not answered");
                return None;
            }
        }
        info!(dlq = &*self.request.queue, "leading DLQ watch");
        Some(self.reported().await)
    }

    fn name(&self) -> &str {
        self.request.identity.id()
    }

    async fn reported(&mut self) -> BTreeMap<Fingerprint, u64> {
        // A store without documents: what was reported is known to the process that did it.
        self.kept = self.store.document(DOCUMENTS, self.name()).await.unwrap_or_default();
        self.kept.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// Keeps what was reported for the next leader, as far as the store keeps documents.
    pub(crate) async fn keep(&mut self, known: &BTreeMap<Fingerprint, u64>) {
        let Ok(text) = serde_json::to_string(known) else { return };
        let put = self.store.put_document(DOCUMENTS, self.name(), self.kept.as_deref(), &text, KEEP).await;
        match put {
            Ok(true) => self.kept = Some(text),
            // Another leader has written: this one will find that it has lost its claim.
            Ok(false) => {}
            Err(error) => debug!(%error, "reports of the DLQ watch not kept"),
        }
    }

    /// Ends the claim, so that another worker leads at once.
    pub(crate) async fn resign(&mut self) {
        if let Some(Held { claim, .. }) = self.held.take() {
            let how = ReleaseClaim { count_attempt: false, failure_reason: None, dead: false };
            // A claim that is not released expires.
            let _ = self.store.release_claim(&claim, &how).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use drumline_store::{MemoryStore, Retention};

    use super::*;

    const ARN: &str = "arn:aws:sqs:eu-west-1:123456789012:jobs-dlq";

    #[tokio::test(start_paused = true)]
    async fn one_worker_leads_until_it_resigns_or_its_lease_ends() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new("w".into(), Retention::default()));
        let leader = || Leader::new(Arc::clone(&store), ARN, Duration::from_secs(30));
        let (mut one, mut two, mut three) = (leader(), leader(), leader());
        assert!(one.lead().await.is_some());
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_secs(30)).await;
            assert!(one.lead().await.is_some());
            assert!(two.lead().await.is_none());
        }
        one.resign().await;
        assert!(two.lead().await.is_some());
        assert!(one.lead().await.is_none());
        tokio::time::sleep(SHORTEST_LEASE + Duration::from_secs(1)).await;
        assert!(three.lead().await.is_some(), "two has died");
        assert!(two.lead().await.is_none());
        let mut other =
            Leader::new(store, "arn:aws:sqs:eu-west-1:123456789012:mail-dlq", Duration::from_secs(30));
        assert!(other.lead().await.is_some(), "another DLQ");
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_leader_knows_what_was_reported() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new("w".into(), Retention::default()));
        let leader = || Leader::new(Arc::clone(&store), ARN, Duration::from_secs(30));
        let (mut one, mut two) = (leader(), leader());
        let known = |times: &[u64]| -> BTreeMap<Fingerprint, u64> {
            times
                .iter()
                .map(|at| (Fingerprint::of_reason(&"x".repeat(usize::try_from(*at).unwrap_or(1))), *at))
                .collect()
        };
        assert_eq!(one.lead().await, Some(BTreeMap::new()));
        one.keep(&known(&[1])).await;
        one.keep(&known(&[1, 2])).await;
        assert_eq!(one.lead().await, Some(BTreeMap::new()), "it knows itself");
        one.resign().await;
        assert_eq!(two.lead().await, Some(known(&[1, 2])));
    }
}
