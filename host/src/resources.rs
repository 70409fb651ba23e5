//! The probe of a queue that is paused because resources are missing: the process checks whether it can open files again.

use std::fs::File;
use std::time::{Duration, Instant};

use crate::sqs::BoxFuture;

/// The wait before the first check, and the longest. Memory cannot be checked, so a pause that begins again soon after one has
/// ended lasts twice as long, up to the longest: then the missing resource is not the checked one.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// A pause that begins within this time after the last one has the same cause.
const SAME_TROUBLE: Duration = Duration::from_secs(60);

/// The maximum number of descriptors that must be free before a pause ends: more runs do not begin at the same moment.
const MOST_RESERVED: usize = 64;

/// The maximum part of the descriptor limit that must be free: with a small limit, more may never be free.
const PART_OF_LIMIT: u64 = 4;

/// Checks in the background, while the queue is paused, whether the pause can end.
pub(crate) struct ResourceProbe {
    /// The number of descriptors that must be free.
    reserve: usize,
    wait: Duration,
    ended_at: Option<Instant>,
    asking: Option<BoxFuture<()>>,
}

impl ResourceProbe {
    /// Makes the probe of a queue with `concurrency` concurrent runs, each of which may need a descriptor.
    pub(crate) fn new(concurrency: usize) -> Self {
        Self { reserve: concurrency.min(MOST_RESERVED), wait: WAITS.0, ended_at: None, asking: None }
    }

    /// Starts the checks after the queue is paused.
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

    /// Completes when the resources are available. Cancel-safe: the check continues with the next call.
    pub(crate) async fn freed(&mut self) {
        match &mut self.asking {
            Some(asking) => asking.await,
            None => std::future::pending().await,
        }
    }

    /// Records that the pause has ended.
    pub(crate) fn ended(&mut self, now: Instant) {
        self.asking = None;
        self.ended_at = Some(now);
    }
}

/// Returns true if `count` files can be open concurrently, or the maximum part of the limit.
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

    /// Returns the length of a pause that begins now.
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
