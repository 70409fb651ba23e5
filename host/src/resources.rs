//! The probe of a queue that is paused for lack of resources: the process tries whether it can open files again.

use std::fs::File;
use std::time::{Duration, Instant};

use crate::sqs::BoxFuture;

/// The wait before the first try, and the longest. Memory cannot be tried, so a pause that begins again soon after one has
/// ended lasts twice as long, up to the longest: what is lacking then is not what is tried.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// A pause that begins within this time after the last one is the same trouble.
const SAME_TROUBLE: Duration = Duration::from_secs(60);

/// Most descriptors that have to be free for a pause to end: more than that many runs do not begin in the same moment.
const MOST_RESERVED: usize = 64;

/// The part of the descriptor limit that has to be free at most: a small limit may never have more.
const PART_OF_LIMIT: u64 = 4;

/// Asks in the background, while the queue is paused, whether it need not be any longer.
pub(crate) struct ResourceProbe {
    /// The descriptors that have to be free.
    reserve: usize,
    wait: Duration,
    ended_at: Option<Instant>,
    asking: Option<BoxFuture<()>>,
}

impl ResourceProbe {
    /// The probe of a queue with so many runs at once, of which each may need a descriptor.
    pub(crate) fn new(concurrency: usize) -> Self {
        Self { reserve: concurrency.min(MOST_RESERVED), wait: WAITS.0, ended_at: None, asking: None }
    }

    /// Begins to ask once the queue is paused.
    pub(crate) fn watch(&mut self, now: Instant, is_paused: bool) {
        if !is_paused || self.asking.is_some() {
            return;
        }
        let again = self.ended_at.is_some_and(|ended| now < ended + SAME_TROUBLE);
        self.wait = if again { (self.wait * 2).min(WAITS.1) } else { WAITS.0 };
        let (wait, reserve) = (self.wait, self.reserve);
        self.asking = Some(Box::pin(async move {
            loop {
                tokio::time::sleep(wait).await;
                if can_open(reserve) {
                    return;
                }
            }
        }));
    }

    /// Completes when the resources are there. Cancel-safe: the question goes on with the next call.
    pub(crate) async fn freed(&mut self) {
        match &mut self.asking {
            Some(asking) => asking.await,
            None => std::future::pending().await,
        }
    }

    /// The pause has ended.
    pub(crate) fn ended(&mut self, now: Instant) {
        self.asking = None;
        self.ended_at = Some(now);
    }
}

/// Returns true if so many files can be open at once, or the part of the limit that counts.
fn can_open(count: usize) -> bool {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let most = limit.map_or(usize::MAX, |limit| usize::try_from(limit / PART_OF_LIMIT).unwrap_or(usize::MAX));
    let files: Result<Vec<File>, _> = (0..count.min(most)).map(|_| File::open("/dev/null")).collect();
    files.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time;

    fn now() -> Instant {
        time::Instant::now().into_std()
    }

    /// The length of a pause that begins now.
    async fn lasts(probe: &mut ResourceProbe) -> Duration {
        let begun = now();
        probe.watch(begun, true);
        probe.freed().await;
        probe.ended(now());
        now() - begun
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_begins_again_at_once_lasts_longer() {
        let mut probe = ResourceProbe::new(8);
        for secs in [1, 2, 4, 8, 16, 30, 30] {
            assert_eq!(lasts(&mut probe).await.as_secs(), secs);
        }
        time::sleep(SAME_TROUBLE).await;
        assert_eq!(lasts(&mut probe).await.as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_is_not_paused_is_not_asked_about() {
        let mut probe = ResourceProbe::new(8);
        probe.watch(now(), false);
        assert!(time::timeout(Duration::from_secs(600), probe.freed()).await.is_err());
    }
}
