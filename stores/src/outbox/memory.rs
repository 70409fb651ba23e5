//! An outbox in this process's memory, for tests: it is lost with the process.

mod clock;
mod keys;
mod row;
mod table;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drumline::core::MaybeReady;
use tokio::sync::Notify;
use tokio::time::timeout;

use self::clock::Clock;
use self::table::Table;
use crate::outbox::added::Added;
use crate::outbox::conclusion::Conclusion;
use crate::outbox::interface::{Answer, Outbox};
use crate::outbox::job::OutboxJob;
use crate::outbox::rows::{Lag, OutboxRow, Rows};
use crate::outbox::rules::{check, check_text, check_unique, later};
use crate::outbox::taken::{Lease, TakenJob};
use crate::outbox::unique::Unique;

/// An [`Outbox`] in this process, for tests.
///
/// Its clock is tokio's, so a test can pause it. A test can also set it.
///
/// ```
/// use std::time::Duration;
///
/// use drumline_store::outbox::{Due, MemoryOutbox, Outbox, OutboxJob};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(async {
/// let outbox = MemoryOutbox::with_clock(Duration::ZERO, 1_700_000_000_000);
/// let mut job = OutboxJob::new("1", "reminder", "{}");
/// job.due = Due::After(Duration::from_secs(3600));
/// outbox.add(&[job]).await?;
/// let lease = Duration::from_secs(30);
/// assert!(outbox.take("relay", 10, lease).await?.is_empty());
/// outbox.advance(Duration::from_secs(3600));
/// assert_eq!(outbox.take("relay", 10, lease).await?[0].job.id, "1");
/// # Ok::<_, drumline_store::StoreError>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MemoryOutbox {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug)]
struct Inner {
    clock: Clock,
    table: Table,
    states: BTreeMap<String, String>,
    leaders: BTreeMap<String, Leader>,
}

/// The owner of a named lease.
#[derive(Debug)]
struct Leader {
    owner: String,
    fencing_token: i64,
    until_ms: i64,
}

impl MemoryOutbox {
    /// Creates an empty outbox with the clock of this machine. Sent jobs are kept for `keep_sent`.
    pub fn new(keep_sent: Duration) -> Self {
        Self::of(Clock::of_this_machine(), keep_sent)
    }

    /// Creates an empty outbox whose clock begins at this time, in milliseconds since the Unix epoch.
    pub fn with_clock(keep_sent: Duration, now_ms: i64) -> Self {
        Self::of(Clock::set_to(now_ms), keep_sent)
    }

    fn of(clock: Clock, keep_sent: Duration) -> Self {
        let (states, leaders) = (BTreeMap::new(), BTreeMap::new());
        let inner = Inner { clock, table: Table::new(keep_sent), states, leaders };
        Self { inner: Mutex::new(inner), changed: Notify::new() }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.inner().clock.advance(by);
        self.changed.notify_waiters();
    }

    /// Sets the clock, forward or back, in milliseconds since the Unix epoch.
    pub fn set_clock(&self, now_ms: i64) {
        self.inner().clock = Clock::set_to(now_ms);
        self.changed.notify_waiters();
    }

    /// Returns the content. No change stops half-way, so the state is complete even after a thread has panicked.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the outbox, and wakes waiting relays.
    fn write<T>(&self, change: impl FnOnce(&mut Inner, i64) -> T) -> T {
        let mut inner = self.inner();
        let now = inner.clock.now_ms();
        inner.table.remove_old(now);
        let answer = change(&mut inner, now);
        drop(inner);
        self.changed.notify_waiters();
        answer
    }

    async fn wait_for_change(&self, longest: Duration) {
        let mut changed = std::pin::pin!(self.changed.notified());
        // From here on, no change is missed.
        changed.as_mut().enable();
        let until_next = {
            let inner = self.inner();
            let now = inner.clock.now_ms();
            if inner.table.has_due(now) {
                return;
            }
            inner.table.next_ms(now).map(|next| Duration::from_millis(next.abs_diff(now)))
        };
        // In both cases the caller checks again.
        let _ = timeout(until_next.map_or(longest, |next| next.min(longest)), changed).await;
    }
}

impl Inner {
    fn change(
        &mut self,
        name: &str,
        before: Option<&str>,
        after: Option<&str>,
        jobs: &[OutboxJob],
        now: i64,
    ) -> bool {
        let current = self.states.get(name).map(String::as_str);
        if current != before {
            return current == after;
        }
        match after {
            Some(after) => self.states.insert(name.to_owned(), after.to_owned()),
            None => self.states.remove(name),
        };
        for job in jobs {
            self.table.add(job, now);
        }
        true
    }

    fn lead(&mut self, name: &str, owner: &str, length: Duration, now: i64) -> Option<Lease> {
        let former = self.leaders.get(name);
        let is_led = former.is_some_and(|leader| leader.until_ms > now);
        let is_renewal = is_led && former.is_some_and(|leader| leader.owner == owner);
        if is_led && !is_renewal {
            return None;
        }
        let fencing_token = former.map_or(0, |leader| leader.fencing_token) + i64::from(!is_renewal);
        let leader = Leader { owner: owner.to_owned(), fencing_token, until_ms: later(now, length) };
        self.leaders.insert(name.to_owned(), leader);
        Some(Lease::new(name, fencing_token, length))
    }
}

impl Outbox for MemoryOutbox {
    fn add<'a>(&'a self, jobs: &'a [OutboxJob]) -> Answer<'a, ()> {
        MaybeReady::now(check(jobs).map(|()| {
            self.write(|inner, now| {
                for job in jobs {
                    inner.table.add(job, now);
                }
            });
        }))
    }

    fn add_unique<'a>(&'a self, job: &'a OutboxJob, unique: &'a Unique) -> Answer<'a, Added> {
        let checked = check(std::slice::from_ref(job)).and_then(|()| check_unique(unique));
        MaybeReady::now(checked.map(|()| self.write(|inner, now| inner.table.add_unique(job, unique, now))))
    }

    fn take<'a>(&'a self, relay: &'a str, max: usize, length: Duration) -> Answer<'a, Vec<TakenJob>> {
        let mut inner = self.inner();
        let now = inner.clock.now_ms();
        inner.table.remove_old(now);
        MaybeReady::now(Ok(inner.table.take(relay, max, length, now)))
    }

    fn conclude<'a>(&'a self, concluded: &'a [(TakenJob, Conclusion)]) -> Answer<'a, usize> {
        let refused = self.write(|inner, now| {
            concluded.iter().filter(|(job, conclusion)| !inner.table.conclude(job, conclusion, now)).count()
        });
        MaybeReady::now(Ok(refused))
    }

    fn leave<'a>(&'a self, relay: &'a str) -> Answer<'a, ()> {
        self.write(|inner, _| inner.table.give_back(|taken| taken.relay == relay));
        MaybeReady::now(Ok(()))
    }

    fn wait(&self, longest: Duration) -> MaybeReady<'_, ()> {
        MaybeReady::later(self.wait_for_change(longest))
    }

    fn lag(&self) -> Answer<'_, Lag> {
        let inner = self.inner();
        MaybeReady::now(Ok(inner.table.lag(inner.clock.now_ms())))
    }

    fn rows<'a>(&'a self, rows: &'a Rows) -> Answer<'a, Vec<OutboxRow>> {
        MaybeReady::now(Ok(self.write(|inner, _| inner.table.shown(rows))))
    }

    fn retry<'a>(&'a self, ids: &'a [String]) -> Answer<'a, usize> {
        let retried = self.write(|inner, now| ids.iter().filter(|id| inner.table.retry(id, now)).count());
        MaybeReady::now(Ok(retried))
    }

    fn remove<'a>(&'a self, ids: &'a [String]) -> Answer<'a, usize> {
        let removed = self.write(|inner, _| ids.iter().filter(|id| inner.table.remove(id)).count());
        MaybeReady::now(Ok(removed))
    }

    fn states(&self) -> Answer<'_, Vec<(String, String)>> {
        let inner = self.inner();
        let states = inner.states.iter().map(|(name, text)| (name.clone(), text.clone()));
        MaybeReady::now(Ok(states.collect()))
    }

    fn change<'a>(
        &'a self,
        name: &'a str,
        before: Option<&'a str>,
        after: Option<&'a str>,
        jobs: &'a [OutboxJob],
    ) -> Answer<'a, bool> {
        let checked = check(jobs)
            .and_then(|()| check_text("name of a state", name))
            .and_then(|()| check_text("text of a state", after.unwrap_or_default()));
        MaybeReady::now(
            checked.map(|()| self.write(|inner, now| inner.change(name, before, after, jobs, now))),
        )
    }

    fn lead<'a>(&'a self, name: &'a str, owner: &'a str, length: Duration) -> Answer<'a, Option<Lease>> {
        let mut inner = self.inner();
        let now = inner.clock.now_ms();
        MaybeReady::now(Ok(inner.lead(name, owner, length, now)))
    }

    fn now_ms(&self) -> Answer<'_, i64> {
        MaybeReady::now(Ok(self.inner().clock.now_ms()))
    }
}

#[cfg(test)]
#[path = "memory/tests.rs"]
mod tests;
