//! An outbox in PostgreSQL 13 or later: a table to which an application adds jobs in the transaction of their cause.
//!
//! ```no_run
//! # use drumline_store::outbox::{OutboxJob, postgres::add_in};
//! # use drumline_store::postgres::sqlx::{self, Connection, PgConnection};
//! # async fn order(connection: &mut PgConnection) -> Result<(), Box<dyn std::error::Error>> {
//! let mut transaction = connection.begin().await?;
//! sqlx::query("UPDATE orders SET paid = true WHERE id = 7").execute(&mut *transaction).await?;
//! add_in(&mut transaction, &[OutboxJob::new("receipt-7", "receipt.send", r#"{"orderId":7}"#)]).await?;
//! transaction.commit().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Programs in other languages insert rows with SQL: a type and a payload are enough, see [`MIGRATION`].
//!
//! # Relays
//!
//! Jobs are spread over 64 buckets, by their group or otherwise by their id. A relay leases its fair share of the buckets
//! instead of single rows, so a job costs one further write after it was added: its removal. Every new owner of a bucket gets a
//! larger fencing token, and conclusions under an older token are refused. Each [`take`](Outbox::take) extends the leases of
//! the relay's buckets. A relay that starts beside others gets buckets when those take the next time, or when their leases end.
//!
//! No relay waits for a row that another transaction has locked. The conclusion of such a job waits in the process, and is
//! written with the next conclusions or the next take after the lock ends; later jobs of its group wait meanwhile. If the relay
//! ends earlier, the job is sent again.
//!
//! There is no cursor: a relay reads the jobs that are due now, so it finds a row whose transaction was open for minutes as
//! soon as the row is visible.
//!
//! # Connections
//!
//! The outbox has the same connections as the [store](crate::postgres#connections), plus one that listens for new rows. Through
//! PgBouncer with pooled transactions it receives no notifications; relays then find new rows at their next check.

pub(crate) mod adding;
mod concluding;
mod in_hand;
mod job_rows;
mod listener;
pub(crate) mod migration;
pub(crate) mod missing;
mod operating;
mod states;
mod taken_row;
mod taking;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use drumline::core::MaybeReady;
use sqlx::Error;
use tokio::sync::Mutex;
use url::Url;

use self::adding::to_rows;
use self::concluding::{Concluded, Unwritten};
use self::in_hand::InHand;
use self::listener::Listener;
use self::missing::without_outbox;
use super::{
    Added, Answer, Conclusion, Lag, Lease, Outbox, OutboxJob, OutboxRow, Rows, TakenJob, Unique, rules,
};
use crate::open::OpenError;
use crate::postgres::connections::{Connections, Options, PooledConnection};
use crate::postgres::removal::{self, Due};
use crate::postgres::schema;
use crate::store::StoreError;

pub use self::adding::add_in;
pub use self::migration::MIGRATION;

/// The interval at which a relay removes sent jobs whose retention has ended. Until then, their ids cannot be used again.
const REMOVE_EVERY: Duration = Duration::from_secs(1);

/// Removes sent jobs whose retention has ended.
const REMOVE_EXPIRED: &str = "DELETE FROM drumline_outbox WHERE id = ANY(ARRAY(SELECT id FROM drumline_outbox
    WHERE state = 'sent' AND expires <= now() LIMIT 1000 FOR UPDATE SKIP LOCKED))";

/// An [`Outbox`] in PostgreSQL.
pub struct PostgresOutbox {
    connections: Arc<Connections>,
    keep_sent: Duration,
    in_hand: Mutex<InHand>,
    listener: OnceLock<Listener>,
    /// The number of wake-ups before the last check of the table.
    seen: AtomicU64,
    removal: Due,
}

impl std::fmt::Debug for PostgresOutbox {
    /// Omits the connections, which contain the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresOutbox").field("keep_sent", &self.keep_sent).finish_non_exhaustive()
    }
}

impl PostgresOutbox {
    /// Connects to the server at `url`, and creates the tables and functions if they are missing, like [`open`](super::open).
    ///
    /// # Errors
    ///
    /// Returns an error if the server does not answer, if something is missing that this role may not create, or if the role
    /// lacks a right that a relay needs.
    pub async fn connect(url: &Url, keep_sent: Duration) -> Result<Self, OpenError> {
        let outbox = Self::connect_to_add(url, keep_sent).await?;
        let rights =
            |mut loan: PooledConnection| async { (schema::missing_rights(&mut loan.connection).await, loan) };
        match outbox.call(rights).await.map_err(OpenError::Unavailable)? {
            None => Ok(outbox),
            Some(missing) => Err(OpenError::Unavailable(StoreError::Refused(missing.into()))),
        }
    }

    /// Connects for a role that only adds jobs, which needs INSERT on `drumline_outbox`, like
    /// [`open_to_add`](super::open_to_add).
    ///
    /// # Errors
    ///
    /// Returns an error if the server does not answer, or if something is missing that this role may not create.
    pub async fn connect_to_add(url: &Url, keep_sent: Duration) -> Result<Self, OpenError> {
        let outbox = Self::unconnected(url, keep_sent)?;
        let ensure =
            |mut loan: PooledConnection| async { (schema::ensure_outbox(&mut loan.connection).await, loan) };
        outbox.call(ensure).await.map_err(OpenError::Unavailable)?;
        Ok(outbox)
    }

    /// Creates the missing tables and functions of the outbox at `url`: runs [`MIGRATION`].
    pub async fn migrate(url: &Url) -> Result<(), OpenError> {
        let outbox = Self::unconnected(url, Duration::ZERO)?;
        let migrate =
            |mut loan: PooledConnection| async { (schema::migrate_outbox(&mut loan.connection).await, loan) };
        outbox.connections.call(migrate).await.map_err(OpenError::Unavailable)
    }

    fn unconnected(url: &Url, keep_sent: Duration) -> Result<Self, OpenError> {
        let options = Options::read(url).map_err(OpenError::Url)?;
        Ok(Self {
            connections: Arc::new(Connections::new(&options)),
            keep_sent,
            in_hand: Mutex::default(),
            listener: OnceLock::new(),
            seen: AtomicU64::new(0),
            removal: Due::new(REMOVE_EVERY),
        })
    }

    /// Removes sent jobs whose retention has ended. The outbox does this by itself, about once a second while a relay takes
    /// jobs.
    pub async fn remove_expired(&self) -> Result<(), StoreError> {
        removal::remove(&self.connections, &[REMOVE_EXPIRED]).await
    }

    /// Starts the removal now and then, concurrently with the calls.
    fn remove_expired_if_due(&self) {
        if self.removal.is_now() {
            let connections = Arc::clone(&self.connections);
            tokio::spawn(async move {
                if let Err(error) = removal::remove(&connections, &[REMOVE_EXPIRED]).await {
                    tracing::debug!(%error, "sent jobs stay for another while");
                }
            });
        }
    }

    async fn call<T, F>(&self, work: impl Fn(PooledConnection) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = (Result<T, Error>, PooledConnection)>,
    {
        self.connections.call(work).await.map_err(without_outbox)
    }

    fn listener(&self) -> &Listener {
        self.listener.get_or_init(|| Listener::start(self.connections.options().clone()))
    }

    async fn take_jobs(
        &self,
        relay: &str,
        max: usize,
        length: Duration,
    ) -> Result<Vec<TakenJob>, StoreError> {
        self.remove_expired_if_due();
        self.conclude_locked().await;
        // A wake-up after this point may be for a row that this call does not see.
        if let Some(listener) = self.listener.get() {
            self.seen.store(listener.wake_ups(), Ordering::Relaxed);
        }
        // Held during the call, so that two concurrent calls do not get the same jobs.
        let mut in_hand = self.in_hand.lock().await;
        let begun = Instant::now();
        let skipped = &in_hand.of(relay, begun);
        let rows = self
            .call(move |mut loan| async move {
                (taking::take(&mut loan.connection, relay, max, length, skipped).await, loan)
            })
            .await?;
        let until = begun + length;
        let left = until.saturating_duration_since(Instant::now());
        let (mut taken, mut unreadable) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in rows {
            in_hand.add(relay, &row, until);
            let job = TakenJob {
                lease: Lease::new(row.lease_name(), row.token, left),
                failures: row.failures,
                added_ms: Some(row.added_ms),
                job: row.job,
            };
            match row.problem {
                None => taken.push(job),
                Some(reason) => unreadable.push((job, Conclusion::Parked { reason })),
            }
        }
        drop(in_hand);
        if !unreadable.is_empty() {
            // They are taken again if this fails, and readable jobs do not wait for it.
            if let Err(error) = self.conclude_jobs(&unreadable).await {
                tracing::warn!(%error, jobs = unreadable.len(), "unreadable jobs are not parked yet");
            }
        }
        Ok(taken)
    }

    async fn conclude_jobs(&self, concluded: &[(TakenJob, Conclusion)]) -> Result<usize, StoreError> {
        let locked_before = self.in_hand.lock().await.locked().to_vec();
        let is_new = |id: &str| concluded.iter().all(|(job, _)| job.job.id != id);
        let again = locked_before.iter().filter(|(job, _)| is_new(&job.job.id));
        let all = &*again.chain(concluded).collect::<Vec<_>>();
        let unwritten = self.write_conclusions(all).await?;
        let without_room = self.in_hand.lock().await.concluded(all, &unwritten.locked);
        if locked_before.is_empty() && !unwritten.locked.is_empty() {
            let jobs = unwritten.locked.len();
            tracing::warn!(
                jobs,
                "rows of concluded jobs are locked by another transaction: written when they are not"
            );
        }
        if without_room > 0 {
            let text = format!("PostgreSQL: {without_room} rows are locked by other transactions");
            return Err(StoreError::Unanswered(text.into()));
        }
        Ok(unwritten.lost)
    }

    /// Writes conclusions whose rows are not locked.
    async fn write_conclusions(&self, all: &[&(TakenJob, Conclusion)]) -> Result<Unwritten, StoreError> {
        let mut parts = &Concluded::of(all.iter().copied());
        let others;
        let are_removed = self.keep_sent.is_zero()
            && all.iter().all(|(_, conclusion)| matches!(conclusion, Conclusion::Sent { .. }));
        if are_removed {
            let removed =
                self.call(move |mut loan| async move {
                    (concluding::remove(&mut loan.connection, parts).await, loan)
                })
                .await?;
            let Some(removed) = removed else { return Ok(Unwritten::default()) };
            others = Concluded::of(all.iter().copied().filter(|(job, _)| !removed.contains(&job.job.id)));
            parts = &others;
        }
        let keep_sent = self.keep_sent;
        self.call(move |mut loan| async move {
            (concluding::conclude(&mut loan.connection, parts, keep_sent).await, loan)
        })
        .await
    }

    /// Writes waiting conclusions whose rows are no longer locked.
    async fn conclude_locked(&self) {
        let has_some = !self.in_hand.lock().await.locked().is_empty();
        if has_some && let Err(error) = self.conclude_jobs(&[]).await {
            tracing::warn!(%error, "conclusions of rows that were locked are not written yet");
        }
    }
}

impl Outbox for PostgresOutbox {
    fn add<'a>(&'a self, jobs: &'a [OutboxJob]) -> Answer<'a, ()> {
        MaybeReady::later(async move {
            let rows = &*to_rows(jobs)?;
            self.call(move |mut loan| async move { (adding::add(&mut loan.connection, rows).await, loan) })
                .await
        })
    }

    fn add_unique<'a>(&'a self, job: &'a OutboxJob, unique: &'a Unique) -> Answer<'a, Added> {
        MaybeReady::later(async move {
            rules::check_unique(unique)?;
            let rows = &*to_rows(std::slice::from_ref(job))?;
            self.call(move |mut loan| async move {
                (adding::add_unique(&mut loan.connection, rows, unique).await, loan)
            })
            .await
        })
    }

    fn take<'a>(&'a self, relay: &'a str, max: usize, length: Duration) -> Answer<'a, Vec<TakenJob>> {
        MaybeReady::later(self.take_jobs(relay, max, length))
    }

    fn conclude<'a>(&'a self, concluded: &'a [(TakenJob, Conclusion)]) -> Answer<'a, usize> {
        MaybeReady::later(self.conclude_jobs(concluded))
    }

    fn leave<'a>(&'a self, relay: &'a str) -> Answer<'a, ()> {
        MaybeReady::later(async move {
            self.conclude_locked().await;
            self.call(
                move |mut loan| async move { (taking::leave(&mut loan.connection, relay).await, loan) },
            )
            .await?;
            self.in_hand.lock().await.forget(relay);
            Ok(())
        })
    }

    fn wait(&self, longest: Duration) -> MaybeReady<'_, ()> {
        MaybeReady::later(async move {
            let listener = self.listener();
            let seen = self.seen.load(Ordering::Relaxed);
            let next = self
                .call(move |mut loan| async move { (taking::next_due(&mut loan.connection).await, loan) })
                .await;
            // If the server does not answer, this is the wait before the next attempt.
            let longest = next.ok().flatten().map_or(longest, |next| next.min(longest));
            listener.wait(seen, longest).await;
        })
    }

    fn lag(&self) -> Answer<'_, Lag> {
        MaybeReady::later(async move {
            self.call(move |mut loan| async move { (operating::lag(&mut loan.connection).await, loan) }).await
        })
    }

    fn rows<'a>(&'a self, rows: &'a Rows) -> Answer<'a, Vec<OutboxRow>> {
        MaybeReady::later(async move {
            self.call(
                move |mut loan| async move { (operating::rows(&mut loan.connection, rows).await, loan) },
            )
            .await
        })
    }

    fn retry<'a>(&'a self, ids: &'a [String]) -> Answer<'a, usize> {
        MaybeReady::later(async move {
            self.call(
                move |mut loan| async move { (operating::retry(&mut loan.connection, ids).await, loan) },
            )
            .await
        })
    }

    fn remove<'a>(&'a self, ids: &'a [String]) -> Answer<'a, usize> {
        MaybeReady::later(async move {
            self.call(
                move |mut loan| async move { (operating::remove(&mut loan.connection, ids).await, loan) },
            )
            .await
        })
    }

    fn states(&self) -> Answer<'_, Vec<(String, String)>> {
        MaybeReady::later(async move {
            self.call(move |mut loan| async move { (states::states(&mut loan.connection).await, loan) }).await
        })
    }

    fn change<'a>(
        &'a self,
        name: &'a str,
        before: Option<&'a str>,
        after: Option<&'a str>,
        jobs: &'a [OutboxJob],
    ) -> Answer<'a, bool> {
        MaybeReady::later(async move {
            let rows = &*to_rows(jobs)?;
            self.call(move |mut loan| async move {
                (states::change(&mut loan.connection, name, before, after, rows).await, loan)
            })
            .await
        })
    }

    fn lead<'a>(&'a self, name: &'a str, owner: &'a str, length: Duration) -> Answer<'a, Option<Lease>> {
        MaybeReady::later(async move {
            let begun = Instant::now();
            let token = self
                .call(move |mut loan| async move {
                    (states::lead(&mut loan.connection, name, owner, length).await, loan)
                })
                .await?;
            Ok(token.map(|token| Lease::new(name, token, length.saturating_sub(begun.elapsed()))))
        })
    }

    fn now_ms(&self) -> Answer<'_, i64> {
        MaybeReady::later(async move {
            self.call(move |mut loan| async move { (operating::now_ms(&mut loan.connection).await, loan) })
                .await
        })
    }
}
