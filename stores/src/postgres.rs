//! A store in PostgreSQL 12 or later, and transactions that write an effect and its mark together.
//!
//! Every call is one round trip: a function that is created when the store is opened, or a single statement. Times are the
//! server's. The first call of each kind on a new connection takes one more round trip to prepare it.
//!
//! # Tables
//!
//! | Table | Holds |
//! | --- | --- |
//! | `drumline_claims_v2` | the claims, by the keys of identities |
//! | `drumline_progress_v2`, `drumline_attempts_v2` | the histories, by the same keys |
//! | `drumline_duplicates_v2` | the keys of jobs that have another job id, too |
//! | `drumline_locks` | the locks, by name |
//! | `drumline_documents` | the documents; workers run without this table |
//! | `drumline_tokens` | the buckets of shared rates; workers without such rates run without this table |
//! | `drumline_outbox`, `drumline_outbox_…` | the outbox, see [`outbox`](crate::outbox); workers run without these tables |
//!
//! The tables are in the first schema of the connection's `search_path` (`?options[search_path]=NAME` sets it). Missing tables
//! and functions are created, also in a database of version 0.1; a role that may not create them can be used if another role
//! has created them: [`SCHEMA`] is the SQL file. Expired rows are removed about once a minute, by a process that makes a call.
//!
//! Version 0.1 has the same locks, and kept the rest in `drumline_claims`, `drumline_jobs` and `drumline_attempts`. The store
//! reads these in the same round trip, and writes no row there. Workers of version 0.1 can run beside those of this version.
//!
//! In ids, types and names, `chr(1) || '0'` represents the character NUL, which PostgreSQL does not support.
//!
//! # Connections
//!
//! Up to 8 connections, or `?pool=`, each opened when it is first needed; and as many again for [`Transaction`]s and
//! [`BatchTransaction`]s, so that these do not delay the renewal of claims. PgBouncer with pooled transactions works from
//! version 1.21 with `max_prepared_statements` above 0. The store uses no session state, and no start-up parameter that
//! PgBouncer does not support.
//!
//! # When it does not answer
//!
//! Calls fail after about three seconds and never hang: the client drops connections whose call took longer; on the server, a
//! function waits at most two seconds for a row that another call has locked. A call that finds its connection closed is
//! repeated on a new one.

mod batch_transaction;
pub(crate) mod connections;
mod documents;
mod jobs;
pub(crate) mod removal;
pub(crate) mod schema;
mod statements;
mod text;
mod tokens;
mod transaction;

use std::sync::Arc;
use std::time::Duration;

use drumline::core::{Claim, ClaimRequest, ClaimResult, MaybeReady, Ownership, ReleaseClaim};
use drumline::message::Identity;
use serde_json::value::RawValue;
use url::Url;

use self::connections::{Connections, Options};
use self::removal::Due;
use crate::document::Document;
use crate::document_rules;
use crate::forgotten::Forgotten;
use crate::open::OpenError;
use crate::outbox::OutboxJob;
use crate::outbox::postgres::adding::to_rows;
use crate::outbox::postgres::missing::without_outbox;
use crate::record::{AttemptRecord, JobRecord, ProgressRecord};
use crate::store::{Retention, Store, StoreError, to_json};
use crate::tokens::{TokenLease, TokenRequest};

pub use self::batch_transaction::{BatchCommit, BatchTransaction};
pub use self::schema::SCHEMA;
pub use self::transaction::{Transaction, finish_in};
/// Re-exported for handlers that use a [`Transaction`].
pub use sqlx;

/// A [`Store`] in PostgreSQL.
pub struct PostgresStore {
    connections: Arc<Connections>,
    /// Separate from the others, see the module.
    for_transactions: Arc<Connections>,
    owner: Arc<str>,
    keep: Retention,
    removal: Due,
    /// True if the database has an outbox, and this role may add to it.
    has_outbox: bool,
}

impl std::fmt::Debug for PostgresStore {
    /// Omits the connections, which contain the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").field("owner", &self.owner).finish_non_exhaustive()
    }
}

/// Checks that a URL can be the URL of a server.
pub(crate) fn check(url: &Url) -> Result<(), String> {
    Options::read(url).map(|_| ())
}

impl PostgresStore {
    /// Connects to the server at `url` and creates the tables if they are missing, like [`open`](crate::open).
    pub async fn connect(url: &Url, owner: Arc<str>, keep: Retention) -> Result<Self, OpenError> {
        let mut store = Self::unconnected(url, owner, keep)?;
        let has_outbox = store
            .connections
            .call(|mut loan| async { (schema::ensure(&mut loan.connection).await, loan) })
            .await;
        store.has_outbox = has_outbox.map_err(OpenError::Unavailable)?;
        Ok(store)
    }

    /// Connects to the server at `url` without checking for tables.
    pub(crate) async fn reach(url: &Url) -> Result<(), OpenError> {
        let store = Self::unconnected(url, Arc::from("drumline"), Retention::default())?;
        store.ping().await.map_err(OpenError::Unavailable)
    }

    fn unconnected(url: &Url, owner: Arc<str>, keep: Retention) -> Result<Self, OpenError> {
        let options = Options::read(url).map_err(OpenError::Url)?;
        Ok(Self {
            connections: Arc::new(Connections::new(&options)),
            for_transactions: Arc::new(Connections::new(&options)),
            owner,
            keep,
            removal: Due::new(removal::EVERY),
            has_outbox: false,
        })
    }

    /// Begins a transaction for an effect that must be written together with the job's mark.
    ///
    /// Waits while the store's limit of open transactions is reached, and fails after three seconds.
    pub async fn begin(&self, claim: &Claim) -> Result<Transaction, StoreError> {
        Transaction::begin(Arc::clone(&self.for_transactions), claim, self.keep).await
    }

    /// Begins a transaction for the effects of several jobs, such as the items of a [batch handler](drumline::batch), that must
    /// be written together with the jobs' marks.
    ///
    /// Waits while the store's limit of open transactions is reached, and fails after three seconds.
    pub async fn begin_batch(&self) -> Result<BatchTransaction, StoreError> {
        BatchTransaction::begin(Arc::clone(&self.for_transactions), self.keep).await
    }

    /// Removes expired rows, up to a limit. The store does this by itself, about once a minute.
    pub async fn remove_expired(&self) -> Result<(), StoreError> {
        removal::remove_expired(&self.connections).await?;
        tokens::remove_unused(&self.connections).await
    }

    /// Starts the removal now and then, concurrently with the calls.
    fn remove_expired_if_due(&self) {
        if self.removal.is_now() {
            let connections = Arc::clone(&self.connections);
            tokio::spawn(async move {
                let removed = async {
                    removal::remove_expired(&connections).await?;
                    tokens::remove_unused(&connections).await
                };
                if let Err(error) = removed.await {
                    tracing::debug!(%error, "expired records stay for another while");
                }
            });
        }
    }
}

fn held(is_ours: bool) -> Ownership {
    if is_ours { Ownership::Kept } else { Ownership::Lost }
}

impl Store for PostgresStore {
    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> MaybeReady<'a, Result<ClaimResult, StoreError>> {
        MaybeReady::later(async move {
            self.remove_expired_if_due();
            // Identifies this call, so that it can be repeated.
            let nonce = fastrand::i64(..);
            let (owner, keep) = (&self.owner, self.keep);
            self.connections
                .call(move |mut loan| async move {
                    (statements::claim(&mut loan.connection, request, owner, keep, nonce).await, loan)
                })
                .await
        })
    }

    fn renew<'a>(
        &'a self,
        claim: &'a Claim,
        length: Duration,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        MaybeReady::later(async move {
            let keep = self.keep;
            self.connections
                .call(move |mut loan| async move {
                    (statements::renew(&mut loan.connection, claim, length, keep).await, loan)
                })
                .await
                .map(held)
        })
    }

    fn finish<'a>(
        &'a self,
        claim: &'a Claim,
        result: Option<&'a RawValue>,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        MaybeReady::later(async move {
            let keep = self.keep;
            self.connections
                .call(move |mut loan| async move {
                    (statements::finish(&mut loan.connection, claim, result, keep).await, loan)
                })
                .await
                .map(held)
        })
    }

    fn finish_with<'a>(
        &'a self,
        claim: &'a Claim,
        result: Option<&'a RawValue>,
        next: &'a [OutboxJob],
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        if next.is_empty() {
            return self.finish(claim, result);
        }
        MaybeReady::later(async move {
            let (keep, next) = (self.keep, to_rows(next)?);
            let next = &*next;
            self.connections
                .call(move |mut loan| async move {
                    (statements::finish_with(&mut loan.connection, claim, result, keep, next).await, loan)
                })
                .await
                .map(held)
                .map_err(without_outbox)
        })
    }

    fn adds_next_jobs(&self) -> bool {
        self.has_outbox
    }

    fn release_claim<'a>(
        &'a self,
        claim: &'a Claim,
        how: &'a ReleaseClaim,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        MaybeReady::later(async move {
            let keep = self.keep;
            self.connections
                .call(move |mut loan| async move {
                    (statements::release_claim(&mut loan.connection, claim, how, keep).await, loan)
                })
                .await
                .map(held)
        })
    }

    fn checkpoint<'a>(
        &'a self,
        claim: &'a Claim,
        value: &'a RawValue,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        MaybeReady::later(async move {
            self.connections
                .call(move |mut loan| async move {
                    (statements::checkpoint(&mut loan.connection, claim, value).await, loan)
                })
                .await
                .map(held)
        })
    }

    fn progress<'a>(
        &'a self,
        identity: &'a Identity,
        progress: &'a ProgressRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        MaybeReady::later(async move {
            let progress = to_json(progress);
            let (progress, keep) = (&*progress, self.keep);
            self.connections
                .call(move |mut loan| async move {
                    (statements::progress(&mut loan.connection, identity, progress, keep).await, loan)
                })
                .await
        })
    }

    fn attempted<'a>(
        &'a self,
        identity: &'a Identity,
        attempt: &'a AttemptRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        MaybeReady::later(async move {
            let attempt = to_json(attempt);
            let (attempt, keep) = (&*attempt, self.keep);
            self.connections
                .call(move |mut loan| async move {
                    (statements::attempted(&mut loan.connection, identity, attempt, keep).await, loan)
                })
                .await
        })
    }

    fn jobs<'a>(&'a self, job_id: &'a str) -> MaybeReady<'a, Result<Vec<JobRecord>, StoreError>> {
        MaybeReady::later(async move {
            self.connections
                .call(move |mut loan| async move { (jobs::jobs(&mut loan.connection, job_id).await, loan) })
                .await
        })
    }

    fn recent(&self, limit: usize) -> MaybeReady<'_, Result<Vec<JobRecord>, StoreError>> {
        MaybeReady::later(async move {
            self.connections
                .call(move |mut loan| async move { (jobs::recent(&mut loan.connection, limit).await, loan) })
                .await
        })
    }

    fn forget<'a>(&'a self, key: &'a str) -> MaybeReady<'a, Result<Forgotten, StoreError>> {
        MaybeReady::later(async move {
            let keep = self.keep;
            self.connections
                .call(move |mut loan| async move {
                    (documents::forget(&mut loan.connection, key, keep).await, loan)
                })
                .await
                .map_err(documents::explained)
        })
    }

    fn document<'a>(
        &'a self,
        kind: &'a str,
        name: &'a str,
    ) -> MaybeReady<'a, Result<Option<String>, StoreError>> {
        MaybeReady::later(async move {
            document_rules::check_name(kind, name)?;
            self.connections
                .call(move |mut loan| async move {
                    (documents::get(&mut loan.connection, kind, name).await, loan)
                })
                .await
                .map_err(documents::explained)
        })
    }

    fn documents<'a>(&'a self, kind: &'a str) -> MaybeReady<'a, Result<Vec<Document>, StoreError>> {
        MaybeReady::later(async move {
            document_rules::check_kind(kind)?;
            self.connections
                .call(
                    move |mut loan| async move { (documents::list(&mut loan.connection, kind).await, loan) },
                )
                .await
                .map_err(documents::explained)
        })
    }

    fn put_document<'a>(
        &'a self,
        kind: &'a str,
        name: &'a str,
        before: Option<&'a str>,
        after: &'a str,
        keep: Duration,
    ) -> MaybeReady<'a, Result<bool, StoreError>> {
        MaybeReady::later(async move {
            document_rules::check_name(kind, name)?;
            document_rules::check_text(after)?;
            let document = &Document { name: name.to_owned(), text: after.to_owned() };
            let keep = document_rules::bounded(keep);
            self.connections
                .call(move |mut loan| async move {
                    (documents::put(&mut loan.connection, kind, document, before, keep).await, loan)
                })
                .await
                .map_err(documents::explained)
        })
    }

    fn lease_tokens<'a>(
        &'a self,
        request: &'a TokenRequest,
    ) -> MaybeReady<'a, Result<TokenLease, StoreError>> {
        MaybeReady::later(async move {
            self.remove_expired_if_due();
            self.connections
                .call(
                    move |mut loan| async move { (tokens::lease(&mut loan.connection, request).await, loan) },
                )
                .await
                .map_err(tokens::explained)
        })
    }

    fn ping(&self) -> MaybeReady<'_, Result<(), StoreError>> {
        MaybeReady::later(async move {
            self.connections
                .call(
                    move |mut loan| async move { (sqlx::Connection::ping(&mut loan.connection).await, loan) },
                )
                .await
        })
    }

    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
        self
    }
}
