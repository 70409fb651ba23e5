//! A type whose jobs fail one after the other: it is paused, one job at a time is a probe, and it resumes by itself.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use drumline::core::{BreakerRule, LimitRules, Limits, Policy, TypeRules};
use drumline::{Context, Failure, Job, Router};
use drumline_tests::ModelQueue;
use tokio::time::sleep;

use crate::running::Consumer;

const LEASE: Duration = Duration::from_secs(30);
const SLOTS: usize = 8;

#[derive(serde::Deserialize)]
struct Work {}

impl Job for Work {
    const TYPE: &'static str = "work";
}

#[derive(Clone, Default)]
struct Service {
    is_down: Arc<AtomicBool>,
    runs: Arc<AtomicUsize>,
    done: Arc<AtomicUsize>,
}

impl Service {
    fn router(&self) -> Router {
        let service = self.clone();
        Router::new().handle(move |_: Context, _: Work| {
            let service = service.clone();
            async move {
                service.runs.fetch_add(1, Ordering::SeqCst);
                sleep(Duration::from_millis(20)).await;
                if service.is_down.load(Ordering::SeqCst) {
                    return Err(Failure::retry("the database does not answer"));
                }
                service.done.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
        })
    }
}

fn limits() -> Limits {
    let breaker = BreakerRule {
        failures: NonZeroU32::new(5),
        share: None,
        window: Duration::from_secs(60),
        min_runs: NonZeroU32::MIN,
        pause: Duration::from_secs(30),
    };
    let mut rules = LimitRules::none(NonZeroUsize::MIN);
    rules.types.insert("work".to_owned(), TypeRules { breaker: Some(breaker), ..TypeRules::default() });
    Limits::new(rules)
}

#[tokio::test(start_paused = true)]
async fn an_outage_meets_only_the_tripping_runs_and_few_probes() {
    let (queue, service) = (ModelQueue::new("jobs", LEASE, 5), Service::default());
    for _ in 0..500 {
        queue.send(r#"{"type":"work","payload":{}}"#, None);
    }
    service.is_down.store(true, Ordering::SeqCst);
    let slots = |policy: &mut Policy| policy.concurrency = NonZeroUsize::new(SLOTS).unwrap();
    let consumer = Consumer::limited(&queue, service.router(), slots, limits());
    sleep(Duration::from_secs(600)).await;
    let runs = service.runs.load(Ordering::SeqCst);
    // Probes after 30, 60, 120 and 240 s, and the jobs that ran at the fifth failure.
    assert!((5 + 4..=5 + SLOTS + 4).contains(&runs), "{runs}");
    service.is_down.store(false, Ordering::SeqCst);
    assert!(
        queue.drained_within(Duration::from_secs(30 * 60)).await,
        "{}",
        service.done.load(Ordering::SeqCst)
    );
    consumer.stop().await;
    assert_eq!((service.done.load(Ordering::SeqCst), queue.dead().len()), (500, 0));
}
