//! Starts the runs of a loop.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use drumline::Router;
use drumline::core::{Ending, RunControl, RunReport, Start};
use drumline::run::Attempt;
use futures_util::FutureExt;
use tokio::sync::mpsc;
use tracing::{Instrument as _, Span};

use super::Driver;
use super::input::{Input, send};
use crate::redact::redact;

impl Driver {
    /// Returns the attempt of a run that starts.
    pub(super) fn attempt(&self, start: Start, control: RunControl) -> Attempt {
        Attempt {
            delivery: start.delivery,
            queue: Arc::clone(self.observer.queue()),
            intake: Arc::clone(&self.intake),
            message: start.message,
            number: start.attempt,
            started_at: start.started_at,
            deadline: start.deadline,
            latest_deadline: start.latest_deadline,
            claim_length: start.claim_length,
            permit: start.permit,
            // Before any run may begin: an open batch waits for all that start together.
            arrival: self.router.arrival(self.observer.queue()),
            control,
            host: Arc::clone(&self.host),
        }
    }

    /// Starts runs, each in a task of its own. They cross to the handlers' threads together, because waking a thread
    /// for each of them costs more than the rest of a short run; once there, idle threads take their share. Their futures are
    /// made there, because memory is freed at less cost by the thread that has allocated it.
    pub(super) fn launch(&self, attempts: Vec<Attempt>) {
        if attempts.is_empty() {
            return;
        }
        let (router, inputs) = (Arc::clone(&self.router), self.inputs.clone());
        // The logs of a run have the span of its loop.
        let span = Span::current();
        self.handlers.spawn(async move {
            for attempt in attempts {
                // Boxed, because a task moves its future several times until it is polled.
                let run = Box::pin(run(Arc::clone(&router), attempt, inputs.clone()));
                tokio::spawn(run.instrument(span.clone()));
            }
        });
    }
}

/// Makes one attempt, and reports its end to the loop.
async fn run(router: Arc<Router>, attempt: Attempt, inputs: mpsc::Sender<Input>) {
    let delivery = attempt.delivery;
    // A panic outside of the handler, such as of an observer, must not keep the slot and the lease.
    let report = AssertUnwindSafe(router.run(attempt)).catch_unwind().await;
    let mut report = report.unwrap_or_else(|_| {
        RunReport::new(
            Ending::Panicked { reason: "the run panicked outside of its handler".to_owned() },
            None,
        )
    });
    redact(&mut report.ending);
    send(&inputs, Input::Ended(delivery, report)).await;
}
