//! The interface of all outboxes.

use std::time::Duration;

use drumline::core::MaybeReady;

use super::added::Added;
use super::conclusion::Conclusion;
use super::job::OutboxJob;
use super::rows::{Lag, OutboxRow, Rows};
use super::taken::{Lease, TakenJob};
use super::unique::Unique;
use crate::store::StoreError;

/// The result of an outbox's call.
pub type Answer<'a, T> = MaybeReady<'a, Result<T, StoreError>>;

/// Keeps jobs until SQS has confirmed them.
///
/// Every call is atomic, and can be repeated after a lost answer. Times are measured by the clock of the outbox's server, so
/// that relays on machines with different clocks agree.
pub trait Outbox: Send + Sync + 'static {
    /// Adds jobs: all of them or none. A job whose id is already known (waiting, parked, or kept after it was sent) is not
    /// changed.
    fn add<'a>(&'a self, jobs: &'a [OutboxJob]) -> Answer<'a, ()>;

    /// Adds a job unless another one holds its unique key.
    fn add_unique<'a>(&'a self, job: &'a OutboxJob, unique: &'a Unique) -> Answer<'a, Added>;

    /// Takes up to `max` due jobs for `length` from now: no other relay gets them meanwhile. `relay` is a unique name of this
    /// relay.
    ///
    /// Jobs of one group are taken by one relay at a time, in the order in which they were added. A job that was put back
    /// blocks the later ones of its group until it is concluded; a job that is due later, or parked, blocks none.
    ///
    /// A job that this value has given to the relay, and that is not concluded yet, is not given to it again before `length`
    /// has passed. A relay makes one such call at a time.
    ///
    /// A job that cannot be read, for example because a newer version has added it, is parked and not returned.
    fn take<'a>(&'a self, relay: &'a str, max: usize, length: Duration) -> Answer<'a, Vec<TakenJob>>;

    /// Records the conclusions of taken jobs. Returns the number of jobs that no longer belong to this relay, which are not
    /// changed. If another transaction has locked a row, PostgreSQL writes its conclusion in a later call.
    fn conclude<'a>(&'a self, concluded: &'a [(TakenJob, Conclusion)]) -> Answer<'a, usize>;

    /// Returns all jobs that this relay has taken to the outbox, so that others need not wait for the end of its leases.
    fn leave<'a>(&'a self, relay: &'a str) -> Answer<'a, ()>;

    /// Waits until a further job may be due, for `longest` at most. It may return earlier without a reason.
    fn wait(&self, longest: Duration) -> MaybeReady<'_, ()>;

    /// Returns how far the relays are behind. PostgreSQL counts up to a million jobs of a kind, and estimates the number of
    /// jobs that are due later if there are more than 100,000.
    fn lag(&self) -> Answer<'_, Lag>;

    /// Returns rows for people: the first `limit` of a state, in the order of adding.
    fn rows<'a>(&'a self, rows: &'a Rows) -> Answer<'a, Vec<OutboxRow>>;

    /// Makes parked jobs wait again, due now and without failures. Returns the number of jobs that were parked.
    fn retry<'a>(&'a self, ids: &'a [String]) -> Answer<'a, usize>;

    /// Removes jobs that wait or are parked. Returns the number of removed jobs; a job that a relay has taken may have been
    /// sent.
    fn remove<'a>(&'a self, ids: &'a [String]) -> Answer<'a, usize>;

    /// Returns the named states by name, which timetables use, see [`change`](Self::change).
    fn states(&self) -> Answer<'_, Vec<(String, String)>>;

    /// Sets a named state to the text `after` if its text is `before` (`None`: no such state), and adds jobs with it: both or
    /// neither. Returns true if the state has that text now, even if it was already `after`; then nothing is added. If `after`
    /// is `None`, the state is removed.
    fn change<'a>(
        &'a self,
        name: &'a str,
        before: Option<&'a str>,
        after: Option<&'a str>,
        jobs: &'a [OutboxJob],
    ) -> Answer<'a, bool>;

    /// Requests or renews a named lease, for `length` from now. Returns `None` while another owner holds it.
    fn lead<'a>(&'a self, name: &'a str, owner: &'a str, length: Duration) -> Answer<'a, Option<Lease>>;

    /// Returns the time of the outbox's clock, in milliseconds since the Unix epoch.
    fn now_ms(&self) -> Answer<'_, i64>;
}
