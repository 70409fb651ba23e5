//! Flushes that may be given up while their export goes on.

use tokio::sync::Mutex;
use tokio::task::JoinHandle;

/// The flushes of one signal. Their exports are tasks, because an export that is given up may still arrive. There is one at a
/// time: a collector that does not answer must not gather tasks.
#[derive(Debug, Default)]
pub(crate) struct Flushes(Mutex<Option<JoinHandle<bool>>>);

impl Flushes {
    /// Waits for the export of an earlier flush, then for this one. Returns its result. If this is dropped, the export that has begun
    /// goes on.
    pub(crate) async fn run(&self, export: impl Future<Output = bool> + Send + 'static) -> bool {
        let mut running = self.0.lock().await;
        if let Some(earlier) = running.as_mut() {
            // Its own flush has reported its failure.
            drop(earlier.await);
        }
        let exported = running.insert(tokio::spawn(export)).await.unwrap_or_default();
        *running = None;
        exported
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::sync::Semaphore;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn flushes_that_are_given_up_leave_one_export() {
        let (flushes, begun, answers) =
            (Flushes::default(), Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let export = || {
            let (begun, answers) = (Arc::clone(&begun), Arc::clone(&answers));
            async move {
                begun.fetch_add(1, Ordering::Relaxed);
                answers.acquire().await.unwrap().forget();
                true
            }
        };
        for _ in 0..20 {
            assert!(timeout(Duration::from_millis(100), flushes.run(export())).await.is_err());
        }
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        answers.add_permits(2);
        assert!(flushes.run(export()).await);
        assert_eq!(begun.load(Ordering::Relaxed), 2);
    }
}
