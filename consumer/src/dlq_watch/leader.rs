//! One leader among the workers that share a store: the worker with the claim of the watch. The store keeps its reports for the
//! next leader.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drumline::core::{Claim, ClaimRequest, ClaimResult, Ownership, ReleaseClaim};
use drumline::message::Identity;
use drumline_dlq::fingerprint::Fingerprint;
use drumline_dlq::watch::Handover;
use drumline_store::{MAX_DOCUMENT_BYTES, Store, StoreError};
use tokio::time::{Instant, sleep};
use tracing::{debug, info};

/// The scope of the claim.
const SCOPE: &str = "drumline";

/// The type of the claim, which no job has.
pub(crate) const WATCH_TYPE: &str = "drumline.dlq-watch";

/// The kind of the documents with the reports: only the times by fingerprint, as older versions read it.
const REPORTS: &str = "dlq-watch";

/// The kind of the documents with the letters that the leader has seen.
const LETTERS: &str = "dlq-watch-letters";

/// The time for which they are kept: longer than a DLQ keeps its letters.
const KEEP: Duration = Duration::from_secs(15 * 24 * 60 * 60);

/// The minimum lease of the claim: longer than the answer of a slow store takes. After a kill, no worker leads until the lease
/// ends.
const SHORTEST_LEASE: Duration = Duration::from_secs(10);

/// A worker that may lead.
pub(crate) struct Leader {
    store: Arc<dyn Store>,
    request: ClaimRequest,
    held: Option<Held>,
    /// The documents in the store, as far as they are known.
    reports: Option<String>,
    letters: Option<String>,
}

/// The answer to a worker that asks to lead.
#[derive(Debug, PartialEq)]
pub(crate) enum Lead {
    /// Another worker leads.
    No,
    /// The worker continues to lead.
    Still,
    /// The worker begins to lead, and knows the reports and seen letters of an earlier leader.
    New { known: BTreeMap<Fingerprint, u64>, handover: Option<Handover> },
}

struct Held {
    claim: Arc<Claim>,
    until: Instant,
}

impl Leader {
    /// Makes a worker that asks to lead the watch over a DLQ, every `every`.
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
        Self { store, request, held: None, reports: None, letters: None }
    }

    /// Asks to lead, or renews the claim.
    pub(crate) async fn lead(&mut self) -> Lead {
        let now = Instant::now();
        let until = now + self.request.length;
        if let Some(held) = &mut self.held {
            match self.store.renew(&held.claim, self.request.length).await {
                Ok(Ownership::Kept) => held.until = until,
                Ok(Ownership::Lost) => self.held = None,
                // It leads until another worker can have the claim.
                Err(error) => {
                    debug!(%error, "claim of the DLQ watch not renewed");
                    if held.until <= now {
                        self.held = None;
                        return Lead::No;
                    }
                }
            }
            if self.held.is_some() {
                return Lead::Still;
            }
        }
        match self.store.claim(&self.request).await {
            Ok(ClaimResult::Granted(grant)) => self.held = Some(Held { claim: grant.claim, until }),
            Ok(_) => return Lead::No,
            Err(error) => {
                debug!(%error, "claim of the DLQ watch not answered");
                return Lead::No;
            }
        }
        info!(dlq = &*self.request.queue, "leading DLQ watch");
        // In a store without documents, only the reporting process knows its reports.
        self.reports = self.document(REPORTS).await.unwrap_or_default();
        self.letters = self.document(LETTERS).await.unwrap_or_default();
        let handover = self.letters.as_deref().and_then(|text| serde_json::from_str(text).ok());
        Lead::New { known: reported(self.reports.as_deref()), handover }
    }

    /// Renews the claim during a turn, however long that takes. Completes if another worker may have it. Returns `None` without
    /// a claim.
    pub(crate) fn until_lost(&self) -> Option<impl Future<Output = ()> + Send + use<>> {
        let held = self.held.as_ref()?;
        let (store, claim, length) = (Arc::clone(&self.store), Arc::clone(&held.claim), self.request.length);
        let mut until = held.until;
        Some(async move {
            while Instant::now() < until {
                sleep(length / 3).await;
                let asked = Instant::now();
                match store.renew(&claim, length).await {
                    Ok(Ownership::Kept) => until = asked + length,
                    Ok(Ownership::Lost) => return,
                    Err(error) => debug!(%error, "claim of the DLQ watch not renewed"),
                }
            }
        })
    }

    fn name(&self) -> &str {
        self.request.identity.id()
    }

    async fn document(&self, kind: &str) -> Result<Option<String>, StoreError> {
        self.store.document(kind, self.name()).await
    }

    /// Keeps the reports and the seen letters for the next leader, if the store keeps documents. Writes only changes.
    pub(crate) async fn keep(&mut self, known: &BTreeMap<Fingerprint, u64>, handover: Option<&Handover>) {
        if *known != reported(self.reports.as_deref()) {
            let merged = |found: Option<&str>| {
                let mut merged = reported(found);
                for (fingerprint, at) in known {
                    let merged = merged.entry(*fingerprint).or_default();
                    *merged = (*at).max(*merged);
                }
                serde_json::to_string(&merged).ok()
            };
            self.reports =
                self.put(REPORTS, self.reports.clone(), serde_json::to_string(known).ok(), merged).await;
        }
        let letters = handover.map(|handover| handover.text(MAX_DOCUMENT_BYTES));
        if letters.is_some() && letters != self.letters {
            self.letters =
                self.put(LETTERS, self.letters.clone(), letters.clone(), |_| letters.clone()).await;
        }
    }

    /// Puts a document. If the store contains another text, puts the result of `merged` for that text. Returns the known text
    /// in the store.
    async fn put(
        &self,
        kind: &str,
        kept: Option<String>,
        text: Option<String>,
        merged: impl Fn(Option<&str>) -> Option<String>,
    ) -> Option<String> {
        let put = async |kept: Option<&str>, text: Option<String>| {
            let Some(text) = text else { return Ok(None) };
            let is_put = self.store.put_document(kind, self.name(), kept, &text, KEEP).await?;
            Ok::<_, StoreError>(is_put.then_some(text))
        };
        let twice = async {
            if let Some(text) = put(kept.as_deref(), text).await? {
                return Ok(Some(text));
            }
            // Another leader has written it, or the answer to an earlier put of this one was lost.
            let found = self.document(kind).await?;
            let text = put(found.as_deref(), merged(found.as_deref())).await?;
            Ok::<_, StoreError>(text.or(found))
        };
        twice.await.unwrap_or_else(|error| {
            debug!(%error, "memory of the DLQ watch not kept");
            kept
        })
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

fn reported(text: Option<&str>) -> BTreeMap<Fingerprint, u64> {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use drumline_store::{MemoryStore, Retention};

    use super::*;

    const ARN: &str = "arn:aws:sqs:eu-west-1:123456789012:jobs-dlq";

    #[tokio::test(start_paused = true)]
    async fn one_worker_leads_until_it_resigns_or_its_lease_ends() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new("w".into(), Retention::default()));
        let leader = || Leader::new(Arc::clone(&store), ARN, Duration::from_secs(30));
        let (mut one, mut two, mut three) = (leader(), leader(), leader());
        assert!(one.lead().await != Lead::No);
        for _ in 0..10 {
            sleep(Duration::from_secs(30)).await;
            assert!(one.lead().await != Lead::No);
            assert!(two.lead().await == Lead::No);
        }
        one.resign().await;
        assert!(two.lead().await != Lead::No);
        assert!(one.lead().await == Lead::No);
        sleep(two.request.length + Duration::from_secs(1)).await;
        assert!(three.lead().await != Lead::No, "two has died");
        assert!(two.lead().await == Lead::No);
        let mut other =
            Leader::new(store, "arn:aws:sqs:eu-west-1:123456789012:mail-dlq", Duration::from_secs(30));
        assert!(other.lead().await != Lead::No, "another DLQ");
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_turn_keeps_the_lead() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new("w".into(), Retention::default()));
        let leader = || Leader::new(Arc::clone(&store), ARN, Duration::from_secs(1));
        let (mut one, mut two) = (leader(), leader());
        assert!(one.until_lost().is_none(), "it does not lead yet");
        assert!(one.lead().await != Lead::No);
        let turn = tokio::time::timeout(Duration::from_secs(300), one.until_lost().unwrap());
        assert!(turn.await.is_err(), "it leads to the end of the turn");
        assert!(two.lead().await == Lead::No);
        let lost = one.until_lost().unwrap();
        one.resign().await;
        assert!(two.lead().await != Lead::No);
        tokio::time::timeout(Duration::from_secs(10), lost).await.unwrap();
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
        assert_eq!(one.lead().await, Lead::New { known: BTreeMap::new(), handover: None });
        let handover = |depth| Handover { depth, ..Handover::default() };
        one.keep(&known(&[1]), Some(&handover(1))).await;
        one.keep(&known(&[1, 2]), Some(&handover(2))).await;
        assert_eq!(one.lead().await, Lead::Still, "it knows itself");
        one.resign().await;
        assert_eq!(two.lead().await, Lead::New { known: known(&[1, 2]), handover: Some(handover(2)) });
        // The state after a read without an answer, or after a put without an answer.
        (two.reports, two.letters) = (None, None);
        two.keep(&known(&[2, 3]), Some(&handover(3))).await;
        two.keep(&known(&[1, 2, 3, 4]), Some(&handover(4))).await;
        two.resign().await;
        assert_eq!(one.lead().await, Lead::New { known: known(&[1, 2, 3, 4]), handover: Some(handover(4)) });
    }
}
