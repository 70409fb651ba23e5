//! The memory of decoded images: one budget for all jobs of the process.
//!
//! A job requests the memory that it needs before it holds a pixel, and waits until that much is free. A wave of large sources
//! then takes longer, but never more memory than the operator has allowed.

use std::sync::Arc;

use drumline::{Context, Failure};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::settings::IMAGE_MEMORY;

/// The unit of the budget in bytes: tokio's semaphore acquires at most 32 bits at once.
const UNIT: u64 = 1024;

/// A budget of bytes.
#[derive(Clone)]
pub(super) struct Memory {
    free: Arc<Semaphore>,
    bytes: u64,
}

/// A share of the budget. It becomes free when this value is dropped.
pub(super) struct Share(OwnedSemaphorePermit);

impl Memory {
    pub(super) fn new(bytes: u64) -> Self {
        let units = usize::try_from(bytes / UNIT).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        // Whole units only: otherwise a job could request more than there is, and wait forever.
        Self { free: Arc::new(Semaphore::new(units)), bytes: units as u64 * UNIT }
    }

    /// Waits for `bytes`, in the order of the requests, so that small shares cannot overtake a large one forever.
    ///
    /// # Errors
    ///
    /// Rejects the job if the budget is smaller than that. Retries it if it is cancelled meanwhile.
    pub(super) async fn take(&self, ctx: &Context, bytes: u64) -> Result<Share, Failure> {
        let units = units(bytes).filter(|_| bytes <= self.bytes).ok_or_else(|| {
            Failure::reject(format_args!(
                "the job's images need about {} MB of memory, more than {} MB in all ({IMAGE_MEMORY})",
                megabytes(bytes),
                megabytes(self.bytes)
            ))
        })?;
        tokio::select! {
            biased;
            reason = ctx.cancelled() => {
                Err(Failure::retry(format_args!("stopped while it waited for memory ({reason:?})")))
            }
            share = Arc::clone(&self.free).acquire_many_owned(units) => Ok(Share(share?)),
        }
    }

    #[cfg(test)]
    pub(super) fn free_bytes(&self) -> u64 {
        self.free.available_permits() as u64 * UNIT
    }
}

impl Share {
    /// Returns all but `bytes` to the budget.
    pub(super) fn shrink_to(&mut self, bytes: u64) {
        let kept = units(bytes).map_or(usize::MAX, |units| units as usize);
        drop(self.0.split(self.0.num_permits().saturating_sub(kept)));
    }
}

fn units(bytes: u64) -> Option<u32> {
    u32::try_from(bytes.div_ceil(UNIT)).ok()
}

fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use drumline::core::Ending;
    use drumline::run::FailureKind;

    use super::*;
    use crate::testing::{At, with_context};

    const MIB: u64 = 1024 * 1024;

    #[tokio::test]
    async fn more_than_the_budget_is_rejected_with_the_figures() {
        let memory = Memory::new(100 * MIB);
        let run = with_context(async move |ctx| memory.take(&ctx, 101 * MIB).await.map(drop)).await;
        let Ending::Rejected { reason } = run.ending() else { panic!("{run}") };
        assert!(
            reason.contains("106 MB") && reason.contains("105 MB in all (DRUMLINE_IMAGE_MEMORY)"),
            "{reason}"
        );
    }

    #[tokio::test]
    async fn a_share_is_waited_for_until_the_others_have_shrunk() {
        let run = with_context(async move |ctx| {
            let memory = Memory::new(100 * MIB);
            let mut first = memory.take(&ctx, 60 * MIB).await?;
            let second = memory.take(&ctx, 100 * MIB - 10 * MIB);
            tokio::pin!(second);
            tokio::select! {
                biased;
                _ = &mut second => panic!("there is no room for two"),
                () = tokio::task::yield_now() => {}
            }
            first.shrink_to(10 * MIB);
            let second = second.await?;
            assert_eq!(memory.free_bytes(), 0);
            drop((first, second));
            assert_eq!(memory.free_bytes(), 100 * MIB);
            Ok(())
        });
        let run = run.await;
        assert!(run.is_done(), "{run}");
    }

    #[tokio::test]
    async fn a_cancelled_job_does_not_wait() {
        let memory = Memory::new(MIB);
        let all = memory.clone();
        let run = with_context(async move |ctx| {
            let _all = all.take(&ctx, MIB).await?;
            let failure = all.take(&ctx, 1).await.map(drop).unwrap_err();
            assert_eq!(failure.kind(), FailureKind::Retry, "{failure:?}");
            assert!(failure.reason().contains("waited for memory"), "{failure:?}");
            Ok(())
        })
        .time_out(At::FirstWait)
        .await;
        assert!(run.is_done(), "{run}");
        assert_eq!(memory.free_bytes(), MIB);
    }
}
