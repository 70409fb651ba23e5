//! An outbox in Redis 6.2 or later, or in Valkey.
//!
//! Every call is one script, which the server runs atomically and with its own clock. A job is added by a separate call, so it
//! is not part of a transaction in the application's database: see the [outbox in PostgreSQL](super::postgres) for that.
//!
//! # Keys
//!
//! All keys begin with `{drumline}:outbox:`; `?prefix=` replaces `drumline` by another name. The braces keep the keys on one
//! node of a cluster. No key expires.
//!
//! | Key | Holds |
//! | --- | --- |
//! | `jobs` | a hash: the jobs by their ids, as JSON |
//! | `rows` | a hash: their states, times, leases and failures, as JSON |
//! | `ready` | a sorted set: jobs (`jID`) and groups (`gGROUP`), by the time at which they come up; while a relay has them, that is when its lease ends |
//! | `queues` | a sorted set: the jobs of groups that are due, each group's in the order of adding |
//! | `groups` | a hash: the groups of which a relay has jobs, with its fencing token |
//! | `times` | a sorted set: the jobs that wait, by when they were first due |
//! | `waiting`, `parked`, `sent` | sorted sets: the jobs of a state, in the order of adding |
//! | `removals` | a sorted set: the jobs that were sent, by when they are removed |
//! | `taken` | a sorted set: the jobs of each relay |
//! | `unique` | a hash: the holders of unique keys |
//! | `states`, `leases` | hashes: of timetables |
//! | `counters` | a hash: the number of the last job, and the last fencing token |
//!
//! A group has one entry in `ready`, independent of the number of its waiting jobs. Therefore only one relay has jobs of a
//! group at a time, and the next jobs are taken when all jobs of the group that a relay has taken are concluded.
//!
//! # Settings of the server
//!
//! `maxmemory-policy noeviction`: [`connect`](RedisOutbox::connect) refuses a server that would evict jobs, if the server shows its
//! settings. `appendonly yes`, or what was added since the last snapshot is lost when the server restarts; with `appendfsync everysec`,
//! the default, a crash of the machine may lose the last second, with `always` nothing that was answered. Replication is asynchronous: a
//! failover may lose what was written in the last moments, and may bring back jobs that were sent already, which are then sent again
//! under the same id. `min-replicas-to-write` bounds that, and does not end it.
//!
//! A server whose memory is full refuses new jobs, and still lets relays take and conclude those that it has.

mod answers;
mod scripts;
mod server;

use std::time::Duration;

use ::redis::{Script, ScriptInvocation};
use drumline::core::MaybeReady;
use tokio::time::{Instant, sleep};
use url::Url;

use self::answers::{RowReply, TakenReply, add_conclusion, add_job, optional};
use self::scripts::Scripts;
use crate::open::OpenError;
use crate::outbox::added::Added;
use crate::outbox::conclusion::Conclusion;
use crate::outbox::interface::{Answer, Outbox};
use crate::outbox::job::OutboxJob;
use crate::outbox::rows::{Lag, OutboxRow, Rows};
use crate::outbox::rules::{MAX_TAKEN_BYTES, check, check_text, check_unique};
use crate::outbox::taken::{Lease, TakenJob};
use crate::outbox::unique::{OnConflict, Unique};
use crate::redis::connection::Connection;
use crate::redis::prefix;
use crate::store::{StoreError, millis};

/// The keys that every script receives, in the order in which it expects them.
const KEYS: [&str; 15] = [
    "jobs", "rows", "ready", "queues", "groups", "times", "waiting", "parked", "sent", "removals", "taken",
    "unique", "states", "leases", "counters",
];

/// The time between two checks of a waiting relay for due jobs.
const POLL: Duration = Duration::from_millis(100);

/// The wait of a relay after a call that the server did not answer.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// The largest number of jobs that one script changes for a relay or an operator: meanwhile, for about ten milliseconds, the
/// server does nothing else.
const MAX_CHANGED: usize = 1_000;

/// The largest number of jobs of a group in one take: a relay must be able to send them one after the other within its lease.
const MAX_OF_GROUP: usize = 100;

/// The largest number of rows that one script reads for people.
const MAX_READ: usize = 100;

/// An [`Outbox`] in Redis or Valkey.
pub struct RedisOutbox {
    connection: Connection,
    scripts: Scripts,
    keys: Vec<String>,
    keep_sent: Duration,
}

impl std::fmt::Debug for RedisOutbox {
    /// Omits the connection, which contains the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisOutbox")
            .field("jobs", &self.keys[0])
            .field("keep_sent", &self.keep_sent)
            .finish_non_exhaustive()
    }
}

impl RedisOutbox {
    /// Connects to the server at `url`, like [`open`](super::open). Sent jobs are kept for `keep_sent`.
    ///
    /// # Errors
    ///
    /// Returns an error if the server does not answer, or if it would remove jobs when its memory is full.
    pub async fn connect(url: &Url, keep_sent: Duration) -> Result<Self, OpenError> {
        let prefix = prefix(url).map_err(OpenError::Url)?;
        let connection = Connection::open(url).await?;
        server::check(&connection).await?;
        let keys = KEYS.map(|key| format!("{{{prefix}}}:outbox:{key}")).into();
        Ok(Self { connection, scripts: Scripts::new(), keys, keep_sent })
    }

    fn call<'a>(&self, script: &'a Script) -> ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        for key in &self.keys {
            call.key(key);
        }
        call
    }

    async fn operate(&self, word: &str, ids: &[String]) -> Result<usize, StoreError> {
        let mut count = 0;
        for ids in ids.chunks(MAX_CHANGED) {
            let mut call = self.call(&self.scripts.operate);
            call.arg(word).arg(ids);
            count += self.connection.run::<usize>(&call).await?;
        }
        Ok(count)
    }

    async fn conclude_jobs(&self, concluded: &[(TakenJob, Conclusion)]) -> Result<usize, StoreError> {
        let mut refused = 0;
        for some in concluded.chunks(MAX_CHANGED) {
            let mut call = self.call(&self.scripts.conclude);
            call.arg(millis(self.keep_sent));
            for (taken, conclusion) in some {
                add_conclusion(&mut call, taken, conclusion);
            }
            refused += self.connection.run::<usize>(&call).await?;
        }
        Ok(refused)
    }

    async fn list(&self, rows: &Rows) -> Result<Vec<OutboxRow>, StoreError> {
        let (mut listed, mut last) = (Vec::new(), 0);
        while listed.len() < rows.limit {
            let mut call = self.call(&self.scripts.list);
            call.arg(answers::word(rows.state)).arg(last).arg(MAX_READ.min(rows.limit - listed.len()));
            call.arg(MAX_TAKEN_BYTES);
            let found: Vec<RowReply> = self.connection.run(&call).await?;
            if found.is_empty() {
                break;
            }
            for reply in found {
                last = reply.1;
                listed.extend(answers::row(reply));
            }
        }
        Ok(listed)
    }

    async fn show(&self, ids: &[String], rows: &Rows) -> Result<Vec<OutboxRow>, StoreError> {
        let mut found = Vec::new();
        for ids in ids.chunks(MAX_READ) {
            let mut call = self.call(&self.scripts.show);
            call.arg(ids);
            for reply in self.connection.run::<Vec<RowReply>>(&call).await? {
                let number = reply.1;
                found.extend(answers::row(reply).map(|row| (number, row)));
            }
        }
        found.retain(|(_, row)| rows.state.is_none_or(|state| row.state == state));
        found.sort_by_key(|(number, _)| *number);
        // An id may be given twice.
        found.dedup_by_key(|(number, _)| *number);
        Ok(found.into_iter().take(rows.limit).map(|(_, row)| row).collect())
    }

    /// Waits until a job may be due.
    async fn until_due(&self, longest: Duration) {
        let begun = Instant::now();
        loop {
            let until_next = match self.until_next().await {
                Ok(until_next) => until_next.map_or(POLL, |next| next.min(POLL)),
                // The next call reports the error.
                Err(_) => return sleep(longest.saturating_sub(begun.elapsed()).min(AFTER_ERROR)).await,
            };
            let left = longest.saturating_sub(begun.elapsed());
            if until_next.is_zero() || left.is_zero() {
                return;
            }
            sleep(until_next.min(left)).await;
        }
    }

    /// Returns the time until the next job or group may be due.
    async fn until_next(&self) -> Result<Option<Duration>, StoreError> {
        let mut call = ::redis::pipe();
        call.cmd("ZRANGE").arg(&self.keys[2]).arg(0).arg(0).arg("WITHSCORES").cmd("TIME");
        let (next, time): (Vec<(String, i64)>, Time) = self.connection.send(&call).await?;
        let until = next.first().map(|(_, at)| at.saturating_sub(milliseconds(time)).max(0));
        Ok(until.map(|until| Duration::from_millis(until.unsigned_abs())))
    }
}

/// Seconds and microseconds.
type Time = (i64, i64);

fn milliseconds((seconds, micros): Time) -> i64 {
    seconds * 1_000 + micros / 1_000
}

impl Outbox for RedisOutbox {
    fn add<'a>(&'a self, jobs: &'a [OutboxJob]) -> Answer<'a, ()> {
        MaybeReady::later(async move {
            check(jobs)?;
            let mut call = self.call(&self.scripts.add);
            for job in jobs {
                add_job(&mut call, job);
            }
            self.connection.run(&call).await
        })
    }

    fn add_unique<'a>(&'a self, job: &'a OutboxJob, unique: &'a Unique) -> Answer<'a, Added> {
        MaybeReady::later(async move {
            check(std::slice::from_ref(job))?;
            check_unique(unique)?;
            let (mode, at_most) = match unique.on_conflict {
                OnConflict::Keep => ("keep", Duration::ZERO),
                OnConflict::Replace => ("replace", Duration::ZERO),
                OnConflict::Debounce { at_most } => ("debounce", at_most),
            };
            let mut call = self.call(&self.scripts.add_unique);
            add_job(&mut call, job);
            call.arg(&unique.key).arg(millis(unique.window)).arg(mode).arg(millis(at_most));
            call.arg(unique.take_from.as_deref().unwrap_or_default());
            answers::added(self.connection.run(&call).await?)
        })
    }

    fn take<'a>(&'a self, relay: &'a str, max: usize, length: Duration) -> Answer<'a, Vec<TakenJob>> {
        MaybeReady::later(async move {
            let mut call = self.call(&self.scripts.take);
            call.arg(relay).arg(max.min(MAX_CHANGED)).arg(millis(length)).arg(MAX_TAKEN_BYTES);
            call.arg(MAX_OF_GROUP);
            let (fencing_token, found): (i64, Vec<TakenReply>) = self.connection.run(&call).await?;
            let lease = Lease::new(relay, fencing_token, length);
            let (mut jobs, mut unreadable) = (Vec::with_capacity(found.len()), Vec::new());
            for reply in found {
                match answers::taken(reply, lease.clone()) {
                    (job, None) => jobs.push(job),
                    (job, Some(reason)) => unreadable.push((job, Conclusion::Parked { reason })),
                }
            }
            if !unreadable.is_empty() {
                // They are taken again if this fails, and readable jobs do not wait for it.
                if let Err(error) = self.conclude_jobs(&unreadable).await {
                    tracing::warn!(%error, jobs = unreadable.len(), "unreadable jobs are not parked yet");
                }
            }
            Ok(jobs)
        })
    }

    fn conclude<'a>(&'a self, concluded: &'a [(TakenJob, Conclusion)]) -> Answer<'a, usize> {
        MaybeReady::later(self.conclude_jobs(concluded))
    }

    fn leave<'a>(&'a self, relay: &'a str) -> Answer<'a, ()> {
        MaybeReady::later(async move {
            let mut call = self.call(&self.scripts.leave);
            call.arg(relay).arg(MAX_CHANGED);
            while self.connection.run::<usize>(&call).await? == MAX_CHANGED {}
            Ok(())
        })
    }

    fn wait(&self, longest: Duration) -> MaybeReady<'_, ()> {
        MaybeReady::later(self.until_due(longest))
    }

    fn lag(&self) -> Answer<'_, Lag> {
        MaybeReady::later(async move {
            let call = self.call(&self.scripts.lag);
            let (due, oldest_ms, later, parked) = self.connection.run(&call).await?;
            Ok(Lag::new(due, Duration::from_millis(oldest_ms), later, parked))
        })
    }

    fn rows<'a>(&'a self, rows: &'a Rows) -> Answer<'a, Vec<OutboxRow>> {
        MaybeReady::later(async move {
            match &rows.ids {
                Some(ids) => self.show(ids, rows).await,
                None => self.list(rows).await,
            }
        })
    }

    fn retry<'a>(&'a self, ids: &'a [String]) -> Answer<'a, usize> {
        MaybeReady::later(self.operate("retry", ids))
    }

    fn remove<'a>(&'a self, ids: &'a [String]) -> Answer<'a, usize> {
        MaybeReady::later(self.operate("remove", ids))
    }

    fn states(&self) -> Answer<'_, Vec<(String, String)>> {
        MaybeReady::later(async move {
            let mut call = ::redis::pipe();
            call.cmd("HGETALL").arg(&self.keys[12]);
            let (mut states,): (Vec<(String, String)>,) = self.connection.send(&call).await?;
            states.sort_unstable();
            Ok(states)
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
            check(jobs)?;
            check_text("name of a state", name)?;
            check_text("text of a state", after.unwrap_or_default())?;
            let mut call = self.call(&self.scripts.change);
            call.arg(name).arg(optional(before)).arg(optional(after));
            for job in jobs {
                add_job(&mut call, job);
            }
            self.connection.run(&call).await
        })
    }

    fn lead<'a>(&'a self, name: &'a str, owner: &'a str, length: Duration) -> Answer<'a, Option<Lease>> {
        MaybeReady::later(async move {
            let mut call = self.call(&self.scripts.lead);
            call.arg(name).arg(owner).arg(millis(length));
            let fencing_token: Option<i64> = self.connection.run(&call).await?;
            Ok(fencing_token.map(|fencing_token| Lease::new(name, fencing_token, length)))
        })
    }

    fn now_ms(&self) -> Answer<'_, i64> {
        MaybeReady::later(async move {
            let mut call = ::redis::pipe();
            call.cmd("TIME");
            let (time,): (Time,) = self.connection.send(&call).await?;
            Ok(milliseconds(time))
        })
    }
}
