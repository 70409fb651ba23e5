//! An outbox whose responses are late, missing or lost.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline::core::MaybeReady;
use drumline_store::StoreError;
use drumline_store::outbox::{
    Added, Answer, Conclusion, Lag, Lease, MemoryOutbox, Outbox, OutboxJob, OutboxRow, Rows, TakenJob, Unique,
};

/// An outbox in memory whose calls take time and fail at random, before or after they take effect.
pub(super) struct Faulty {
    pub(super) inner: Arc<MemoryOutbox>,
    random: Mutex<fastrand::Rng>,
    /// The number of calls in a thousand that return an error.
    failing: AtomicU32,
    down: AtomicBool,
}

impl Faulty {
    pub(super) fn new(inner: Arc<MemoryOutbox>, seed: u64, failing_per_mille: u32) -> Self {
        let random = Mutex::new(fastrand::Rng::with_seed(seed));
        Self { inner, random, failing: AtomicU32::new(failing_per_mille), down: AtomicBool::new(false) }
    }

    /// Makes the outbox respond to no call, or respond again.
    pub(super) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    fn draw(&self, below: u32) -> u32 {
        self.random.lock().unwrap().u32(0..below)
    }

    async fn call<'a, T>(&'a self, call: impl FnOnce() -> Answer<'a, T> + Send) -> Result<T, StoreError> {
        let unanswered = || Err(StoreError::Unanswered("it is down".into()));
        tokio::time::sleep(Duration::from_millis(self.draw(40).into())).await;
        let fails = self.draw(1000) < self.failing.load(Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) || (fails && self.draw(2) == 0) {
            return unanswered();
        }
        let answer = call().await;
        tokio::time::sleep(Duration::from_millis(self.draw(40).into())).await;
        if fails { unanswered() } else { answer }
    }
}

impl Outbox for Faulty {
    fn add<'a>(&'a self, jobs: &'a [OutboxJob]) -> Answer<'a, ()> {
        MaybeReady::later(self.call(|| self.inner.add(jobs)))
    }

    fn add_unique<'a>(&'a self, job: &'a OutboxJob, unique: &'a Unique) -> Answer<'a, Added> {
        MaybeReady::later(self.call(|| self.inner.add_unique(job, unique)))
    }

    fn take<'a>(&'a self, relay: &'a str, max: usize, length: Duration) -> Answer<'a, Vec<TakenJob>> {
        self.inner.take(relay, max, length)
    }

    fn conclude<'a>(&'a self, concluded: &'a [(TakenJob, Conclusion)]) -> Answer<'a, usize> {
        self.inner.conclude(concluded)
    }

    fn leave<'a>(&'a self, relay: &'a str) -> Answer<'a, ()> {
        self.inner.leave(relay)
    }

    fn wait(&self, longest: Duration) -> MaybeReady<'_, ()> {
        self.inner.wait(longest)
    }

    fn lag(&self) -> Answer<'_, Lag> {
        self.inner.lag()
    }

    fn rows<'a>(&'a self, rows: &'a Rows) -> Answer<'a, Vec<OutboxRow>> {
        self.inner.rows(rows)
    }

    fn retry<'a>(&'a self, ids: &'a [String]) -> Answer<'a, usize> {
        self.inner.retry(ids)
    }

    fn remove<'a>(&'a self, ids: &'a [String]) -> Answer<'a, usize> {
        self.inner.remove(ids)
    }

    fn states(&self) -> Answer<'_, Vec<(String, String)>> {
        MaybeReady::later(self.call(|| self.inner.states()))
    }

    fn change<'a>(
        &'a self,
        name: &'a str,
        before: Option<&'a str>,
        after: Option<&'a str>,
        jobs: &'a [OutboxJob],
    ) -> Answer<'a, bool> {
        MaybeReady::later(self.call(move || self.inner.change(name, before, after, jobs)))
    }

    fn lead<'a>(&'a self, name: &'a str, owner: &'a str, length: Duration) -> Answer<'a, Option<Lease>> {
        MaybeReady::later(self.call(move || self.inner.lead(name, owner, length)))
    }

    fn now_ms(&self) -> Answer<'_, i64> {
        MaybeReady::later(self.call(|| self.inner.now_ms()))
    }
}
