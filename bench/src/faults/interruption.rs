//! Ctrl-C for several threads: cases measure in parallel, and all must stop.

use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use crossbeam_channel::Receiver;

use xtask::interrupt::Interrupted;

/// The interval at which conditions and interruptions are checked.
const LOOK: Duration = Duration::from_millis(20);

/// The first signal that requested the end.
#[derive(Clone)]
pub(crate) struct Interruption(Arc<OnceLock<Interrupted>>);

impl Interruption {
    /// Receives all further signals.
    pub(crate) fn watch(interrupts: Receiver<Interrupted>) -> Self {
        let first = Arc::new(OnceLock::new());
        let seen = Arc::clone(&first);
        thread::spawn(move || {
            for interrupted in interrupts {
                // Further signals change nothing: all threads are already stopping.
                seen.set(interrupted).ok();
            }
        });
        Self(first)
    }

    /// Returns an error if there was a signal.
    pub(crate) fn check(&self) -> Result<()> {
        self.0.get().map_or(Ok(()), |interrupted| Err((*interrupted).into()))
    }

    /// Waits for some time.
    pub(crate) fn pause(&self, time: Duration) -> Result<()> {
        self.until(time, || Ok(false)).map(drop)
    }

    /// Waits until `condition` holds. Returns how long that took; `None` if the limit came first.
    pub(crate) fn until(
        &self,
        limit: Duration,
        mut condition: impl FnMut() -> Result<bool>,
    ) -> Result<Option<Duration>> {
        let started = Instant::now();
        loop {
            self.check()?;
            if condition()? {
                return Ok(Some(started.elapsed()));
            }
            let left = limit.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            thread::sleep(LOOK.min(left));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crossbeam_channel::unbounded;

    use super::*;

    #[test]
    fn every_wait_ends_with_the_first_signal() {
        let (sender, receiver) = unbounded();
        let interruption = Interruption::watch(receiver);
        assert_eq!(interruption.until(Duration::from_millis(1), || Ok(false)).unwrap(), None);
        assert!(interruption.until(Duration::MAX, || Ok(true)).unwrap().is_some());
        sender.send(Interrupted { signal: 2 }).unwrap();
        thread::scope(|scope| {
            for _ in 0..2 {
                let error = || interruption.until(Duration::MAX, || Ok(false)).unwrap_err();
                scope.spawn(move || assert_eq!(error().downcast_ref(), Some(&Interrupted { signal: 2 })));
            }
        });
    }
}
