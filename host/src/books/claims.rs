//! The claims of runs: asked for, renewed, finished and given up, however the store answers.

use std::sync::Arc;
use std::time::Duration;

use drumline::{Admission, Answer, Claim, ClaimRequest, Held, RunControl, Surrender};
use drumline_store::StoreError;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, warn};

use super::{Books, Inner, StoreOperation, StoreOutage};

/// How long a job waits where it is for a store that does not answer, its lease renewed: longer than a restart takes, so
/// that one costs no message a receive.
const PATIENCE: Duration = Duration::from_secs(20);

/// Between two tries.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// How long a message waits for its claim to be given up. The claim ends by itself, a little later.
const SURRENDER_PATIENCE: Duration = Duration::from_secs(3);

/// Waits that double.
struct Waits(Duration);

impl Waits {
    fn new() -> Self {
        Self(FIRST_WAIT)
    }

    fn next(&mut self) -> Duration {
        let wait = self.0;
        self.0 = (wait * 2).min(LONGEST_WAIT);
        wait
    }
}

impl Books {
    /// Asks for a claim, until the store answers, the run is to stop, or the patience is over.
    pub(crate) fn claim<'a>(
        &'a self,
        request: ClaimRequest,
        control: &'a RunControl,
    ) -> Answer<'a, Admission> {
        match self.0.store.claim(&request).at_once() {
            Some(Ok(admission)) => {
                self.0.heard(StoreOperation::Claim, &Ok(()));
                Answer::now(admission)
            }
            // A failure is asked about once more, there where it may be waited for.
            Some(Err(_)) | None => Answer::later(self.claim_some_time(request, control)),
        }
    }

    async fn claim_some_time(&self, request: ClaimRequest, control: &RunControl) -> Admission {
        let Inner { store, outage, .. } = &*self.0;
        let answer = store.claim(&request).await;
        self.0.heard(StoreOperation::Claim, &answer);
        match (answer, outage) {
            (Ok(admission), _) => admission,
            (Err(_), StoreOutage::Run) => {
                warn!(
                    job_id = &**request.identity.job_id(),
                    "runs without a claim, since the store does not answer"
                );
                Admission::Unclaimed
            }
            (Err(error), StoreOutage::Retry) => self.claim_again(&request, control, error).await,
        }
    }

    async fn claim_again(
        &self,
        request: &ClaimRequest,
        control: &RunControl,
        mut last: StoreError,
    ) -> Admission {
        let end = Instant::now() + PATIENCE;
        let mut waits = Waits::new();
        while Instant::now() < end {
            tokio::select! {
                // A store that is back is noticed at once, and those who wait do not all ask at once.
                () = sleep(waits.next()) => {}
                _ = control.until_cancelled() => break,
            }
            let answer = self.0.store.claim(request).await;
            self.0.heard(StoreOperation::Claim, &answer);
            match answer {
                Ok(admission) => return admission,
                Err(error) => last = error,
            }
        }
        Admission::Unavailable(format!("the store does not answer: {last}"))
    }

    pub(crate) async fn renew(&self, claim: &Claim, length: Duration) -> Result<Held, String> {
        let answer = self.0.store.renew(claim, length).await;
        self.0.heard(StoreOperation::Renew, &answer);
        match (answer, self.0.outage) {
            (Ok(held), _) => Ok(held),
            // As it would run without any claim.
            (Err(_), StoreOutage::Run) => Ok(Held::Ours),
            (Err(error), StoreOutage::Retry) => Err(error.0),
        }
    }

    /// Has a job marked as done, and does not give up: without the mark, a duplicate would have the effect once more.
    pub(crate) fn finish<'a>(&'a self, claim: &'a Claim, result: Option<Box<RawValue>>) -> Answer<'a, Held> {
        match self.0.store.finish(claim, result.as_deref()).at_once() {
            Some(Ok(Held::Ours)) => {
                self.0.heard(StoreOperation::Finish, &Ok(()));
                Answer::now(Held::Ours)
            }
            // Of all else there is more to say: it is asked once more, which changes nothing.
            Some(_) | None => Answer::later(self.finish_some_time(claim, result)),
        }
    }

    async fn finish_some_time(&self, claim: &Claim, result: Option<Box<RawValue>>) -> Held {
        let mut waits = Waits::new();
        loop {
            let answer = self.0.store.finish(claim, result.as_deref()).await;
            self.0.heard(StoreOperation::Finish, &answer);
            match answer {
                Ok(Held::Ours) => return Held::Ours,
                Ok(Held::Lost) => {
                    error!(
                        job_id = &**claim.identity.job_id(),
                        "the job is done, but its claim is somebody else's by now: its effect may happen twice"
                    );
                    return Held::Lost;
                }
                Err(error) => {
                    let job_id = &**claim.identity.job_id();
                    if self.0.outage == StoreOutage::Run {
                        warn!(job_id, %error, "the job is done, and that is not remembered");
                        return Held::Ours;
                    }
                    warn!(job_id, %error, "the job is done, and stays in hand until the store remembers that");
                }
            }
            sleep(waits.next()).await;
        }
    }

    /// Gives a claim up, with what was still to be written under it.
    pub(crate) async fn surrender(&self, claim: &Arc<Claim>, how: &Surrender) {
        let given_up = timeout(SURRENDER_PATIENCE, async {
            self.0.journal.write_now(&claim.identity).await;
            let mut waits = Waits::new();
            loop {
                let answer = self.0.store.surrender(claim, how).await;
                self.0.heard(StoreOperation::Surrender, &answer);
                match answer {
                    Ok(_) => return,
                    Err(_) => sleep(waits.next()).await,
                }
            }
        });
        if given_up.await.is_err() {
            warn!(job_id = &**claim.identity.job_id(), "the claim could not be given up: it ends by itself");
        }
    }
}
