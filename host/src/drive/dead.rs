//! The hook for dead jobs: called before the ledger learns of the failure, so that the message is renewed and moves no sooner.

use std::time::Instant;

use drumline::core::{DeliveryId, Ending, RunReport};
use futures_util::future::{Either, select};
use tracing::Instrument as _;

use super::Driver;
use super::input::{Input, send};
use super::runs::Runs;
use crate::dead_jobs::dead_job;

impl Driver {
    /// Calls the hook if the job of a run is dead. Returns the report of any other run.
    pub(super) fn bury(
        &self,
        now: Instant,
        id: DeliveryId,
        mut report: RunReport,
        runs: &Runs,
    ) -> Option<RunReport> {
        let Some(dead_jobs) = self.dead_jobs.clone() else { return Some(report) };
        let death = self.ledger.death_of(now, id, &report);
        let (Some(death), Some(control), Some(message)) =
            (death, runs.control(id).cloned(), self.ledger.message_of(id).cloned())
        else {
            return Some(report);
        };
        // A label has a slash after the part that distinguishes queues of one name.
        let queue = self.observer.queue().rsplit('/').next().unwrap_or_default();
        let job = dead_job(queue, message, &report, &death);
        let inputs = self.inputs.clone();
        let calling = async move {
            let call = std::pin::pin!(dead_jobs.call(job));
            let succeeded = match select(call, std::pin::pin!(control.until_aborted())).await {
                Either::Left((called, _)) => Some(called.is_ok()),
                Either::Right(_) => {
                    // It was not called to its end, so the job is not dead yet: it runs again, or the watch over the DLQ calls it.
                    report.ending = Ending::Interrupted;
                    None
                }
            };
            send(&inputs, Input::Buried(id, Box::new(report), now, succeeded)).await;
        };
        self.handlers.spawn(calling.in_current_span());
        None
    }
}
