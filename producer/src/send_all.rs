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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use aws_sdk_sqs::Client;
    use aws_sdk_sqs::config::BehaviorVersion;
    use drumline::Job;

    use crate::Producer;

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Tick {}

    impl Job for Tick {
        const TYPE: &'static str = "tick";
    }

    fn delays(count: usize, delay: Option<u64>, within: u64) -> Vec<Option<u16>> {
        let config = aws_sdk_sqs::Config::builder().behavior_version(BehaviorVersion::latest());
        let producer = Producer::new(Client::from_conf(config.build()), "http://127.0.0.1/1/jobs");
        let job = || match delay {
            Some(secs) => producer.send(&Tick {}).delay(Duration::from_secs(secs)),
            None => producer.send(&Tick {}),
        };
        let all = producer.send_all((0..count).map(|_| job())).spread(Duration::from_secs(within));
        all.entries().into_iter().map(|entry| entry.prepared.unwrap().outgoing.delay_secs).collect()
    }

    #[test]
    fn jobs_are_spread_evenly() {
        assert_eq!(delays(5, None, 100), [0, 20, 40, 60, 80].map(Some));
        assert_eq!(delays(3, Some(10), 9), [10, 13, 16].map(Some));
        assert_eq!(delays(4, None, 2), [0, 0, 1, 1].map(Some));
        assert_eq!(delays(1, None, 900), [Some(0)]);
        assert_eq!(delays(0, None, 900), []);
        let many = delays(2000, None, 900);
        assert_eq!((many[0], many[1999]), (Some(0), Some(899)));
        assert!(many.windows(2).all(|pair| pair[0] <= pair[1]));
    }
}
