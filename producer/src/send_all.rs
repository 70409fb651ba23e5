//! Many jobs, before they are sent.

use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use crate::dispatch::{Entry, NotPrepared, dispatch};
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
    /// Spreads the jobs evenly over this time, so that they do not all run at once: the first job is sent immediately, the
    /// others with growing delays, each in addition to its own [`delay`](SendJob::delay) if it has one. At most 15 minutes.
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
            let (job_type, group) = (job.job_type().to_owned(), job.fifo_group());
            Entry { job_type, prepared: job.prepare().map_err(|error| NotPrepared { error, group }) }
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
        all.entries().into_iter().map(|entry| entry.prepared.ok().unwrap().outgoing.delay_secs).collect()
    }

    #[tokio::test]
    async fn after_a_refused_job_its_fifo_group_sends_no_later_one() {
        let config = aws_sdk_sqs::Config::builder().behavior_version(BehaviorVersion::latest());
        let producer = |queue: &str| Producer::new(Client::from_conf(config.clone().build()), queue);
        let fifo = producer("http://127.0.0.1:9/1/jobs.fifo");
        // All remaining jobs are refused or blocked, so nothing is sent.
        let jobs = [
            fifo.send(&Tick {}).group("a").attribute("AWS.x", "refused"),
            fifo.send(&Tick {}).group("a"),
            fifo.send(&Tick {}),
            fifo.send(&Tick {}).group("b").delay(Duration::from_secs(1)),
            fifo.send(&Tick {}).group("b"),
        ];
        let failure = fifo.send_all(jobs).await.unwrap_err();
        let refused = |job: &crate::FailedJob| matches!(job.error, crate::ProduceError::Refused(_));
        let refusals: Vec<_> = failure.failed.iter().map(refused).collect();
        assert_eq!(refusals, [true, false, true, true, false]);
        assert!(failure.failed[1].error.to_string().contains("an earlier job of its group a was not sent"));
        assert_eq!(failure.into_prepared().len(), 2, "they can be sent later");

        let group_of = |job: crate::SendJob| job.fifo_group().map(|(_, group)| group.to_string());
        assert_eq!(group_of(fifo.send(&Tick {}).group("b")).as_deref(), Some("b"));
        assert_eq!(group_of(fifo.send(&Tick {})), None, "it is not known");
        let standard = producer("http://127.0.0.1:9/1/jobs");
        assert_eq!(group_of(standard.send(&Tick {}).group("b")), None, "it orders nothing");
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
