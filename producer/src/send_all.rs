//! Many jobs, before they are sent.

use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use crate::dispatch::{Entry, dispatch};
use crate::options::{Place, Spread};
use crate::partial_failure::PartialFailure;
use crate::receipt::Receipt;
use crate::send_job::SendJob;

/// Many jobs: awaiting them sends them.
#[must_use = "jobs are sent when they are awaited"]
pub struct SendAll {
    pub(crate) jobs: Vec<SendJob>,
    pub(crate) within: Option<Duration>,
}

impl SendAll {
    /// Spreads the jobs evenly over this time, so that they do not all run at once: the first at once, the others later and later, each
    /// after its own [`delay`](SendJob::delay) if it has one. At most 15 minutes.
    pub fn spread(self, within: Duration) -> Self {
        Self { within: Some(within), ..self }
    }

    fn entries(self) -> Vec<Entry> {
        let (within, count) = (self.within, self.jobs.len());
        let jobs = self.jobs.into_iter().enumerate();
        jobs.map(|(index, mut job)| {
            if let Some(within) = within {
                job.options.spread = Some(Spread { within, place: Place::Nth(index, count) });
            }
            Entry { job_type: job.job_type().to_owned(), prepared: job.prepare() }
        })
        .collect()
    }
}

impl IntoFuture for SendAll {
    type Output = Result<Vec<Receipt>, PartialFailure>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { dispatch(self.entries()).await })
    }
}
