//! A service that asks for pauses: during a pause only running jobs call it, and afterwards one job as a probe.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline::core::Policy;
use drumline::{Context, Failure, Job, Router};
use drumline_tests::ModelQueue;
use tokio::time::{Instant, sleep};

use crate::running::Consumer;

const LEASE: Duration = Duration::from_secs(30);
const MAX_RECEIVE_COUNT: u32 = 3;
const SLOTS: usize = 16;

#[derive(serde::Deserialize)]
struct Mail {}

impl Job for Mail {
    const TYPE: &'static str = "mail";
}

#[derive(serde::Deserialize)]
struct Report {}

impl Job for Report {
    const TYPE: &'static str = "report";
}

/// A service that accepts a number of requests in each minute, and refuses the rest.
struct Provider {
    quota: usize,
    /// True if it reports the end of the minute.
    says_when: bool,
    began: Instant,
    /// The minute of each request, and the answer.
    requests: Mutex<Vec<(u64, bool)>>,
    reports: Mutex<Vec<Instant>>,
}

impl Provider {
    fn new(quota: usize, says_when: bool) -> Arc<Self> {
        let (requests, reports) = Default::default();
        Arc::new(Self { quota, says_when, began: Instant::now(), requests, reports })
    }

    fn ask(&self) -> Result<(), Failure> {
        let (minute, into) = (self.began.elapsed().as_secs() / 60, self.began.elapsed().as_millis() % 60_000);
        let mut requests = self.requests.lock().unwrap();
        let taken = requests.iter().filter(|(of, taken)| *of == minute && *taken).count();
        requests.push((minute, taken < self.quota));
        if taken < self.quota {
            return Ok(());
        }
        let left = Duration::from_millis(60_000 - u64::try_from(into).unwrap());
        Err(Failure::throttled(self.says_when.then_some(left), "429 Too Many Requests"))
    }

    fn router(self: &Arc<Self>) -> Router {
        let (mails, reports) = (Arc::clone(self), Arc::clone(self));
        let mail = move |_: Context, _: Mail| {
            let provider = Arc::clone(&mails);
            async move {
                sleep(Duration::from_millis(50)).await;
                let answer = provider.ask();
                sleep(Duration::from_millis(50)).await;
                answer
            }
        };
        let report = move |_: Context, _: Report| {
            let provider = Arc::clone(&reports);
            async move {
                provider.reports.lock().unwrap().push(Instant::now());
                Ok(())
            }
        };
        Router::new().handle(mail).handle(report)
    }

    /// Returns the refusals of each minute with refusals.
    fn refusals(&self) -> Vec<usize> {
        let requests = self.requests.lock().unwrap();
        let last = requests.last().map_or(0, |(minute, _)| *minute);
        let of = |minute| requests.iter().filter(|(of, taken)| *of == minute && !taken).count();
        (0..=last).map(of).filter(|count| *count > 0).collect()
    }

    fn taken(&self) -> usize {
        self.requests.lock().unwrap().iter().filter(|(_, taken)| *taken).count()
    }
}

fn slots(policy: &mut Policy) {
    policy.concurrency = NonZeroUsize::new(SLOTS).unwrap();
}

fn send(queue: &ModelQueue, job_type: &str, count: usize) {
    for _ in 0..count {
        queue.send(&format!(r#"{{"type":"{job_type}","payload":{{}}}}"#), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttling_service_gets_only_running_jobs_and_a_probe() {
    let (queue, provider) = (ModelQueue::new("jobs", LEASE, MAX_RECEIVE_COUNT), Provider::new(50, true));
    send(&queue, "mail", 300);
    let consumer = Consumer::start(&queue, provider.router(), slots);
    assert!(queue.drained_within(Duration::from_secs(30 * 60)).await, "{} done", provider.taken());
    consumer.stop().await;
    assert!(queue.dead().is_empty());
    assert_eq!(provider.taken(), 300, "each once");
    let refusals = provider.refusals();
    assert!(refusals.len() >= 5, "{refusals:?}");
    assert!(refusals.iter().all(|count| *count <= SLOTS + 1), "{refusals:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_time_a_service_is_asked_by_fewer_and_fewer_probes() {
    let (queue, provider) = (ModelQueue::new("jobs", LEASE, MAX_RECEIVE_COUNT), Provider::new(50, false));
    send(&queue, "mail", 200);
    let consumer = Consumer::start(&queue, provider.router(), slots);
    assert!(queue.drained_within(Duration::from_secs(30 * 60)).await, "{} done", provider.taken());
    consumer.stop().await;
    assert!(queue.dead().is_empty());
    assert_eq!(provider.taken(), 200, "each once");
    // A minute has room for pauses of 1, 2, 4, 8, 16 and 32 s.
    let refusals = provider.refusals();
    assert!(refusals.iter().all(|count| *count <= SLOTS + 6), "{refusals:?}");
}

#[tokio::test(start_paused = true)]
async fn other_types_go_on_meanwhile() {
    let (queue, provider) = (ModelQueue::new("jobs", LEASE, MAX_RECEIVE_COUNT), Provider::new(10, true));
    send(&queue, "mail", 40);
    let consumer = Consumer::start(&queue, provider.router(), slots);
    sleep(Duration::from_secs(5)).await;
    let sent = Instant::now();
    send(&queue, "report", 100);
    sleep(Duration::from_secs(10)).await;
    let reports = provider.reports.lock().unwrap().clone();
    assert_eq!(reports.len(), 100, "while mail is closed");
    let last = reports.iter().max().unwrap().duration_since(sent);
    assert!(last < Duration::from_secs(5), "{last:?}");
    assert!(queue.drained_within(Duration::from_secs(20 * 60)).await);
    consumer.stop().await;
    assert!(queue.dead().is_empty());
}

/// Accepts no request for an hour: a message with few receives left survives it.
#[tokio::test(start_paused = true)]
async fn an_hour_without_the_service_kills_no_message() {
    let (queue, provider) = (ModelQueue::new("jobs", LEASE, MAX_RECEIVE_COUNT), Provider::new(0, false));
    send(&queue, "mail", 3);
    let consumer = Consumer::start(&queue, provider.router(), slots);
    sleep(Duration::from_secs(3600)).await;
    assert_eq!((queue.left().len(), queue.dead().len(), provider.taken()), (3, 0, 0));
    let asked: usize = provider.refusals().iter().sum();
    assert!((55..75).contains(&asked), "one probe a minute: {asked}");
    consumer.stop().await;
}
