//! Jobs that wait for a limit are visible: in metrics, in events, and in the sentence of `/readyz`.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline::core::{JobClass, LedgerEvent, LimitReason, LimitRules, Limits, TypeOrders, TypeRules};
use drumline::message::Intake;
use drumline::run::{Event, Observer};
use drumline::{Context, Job, Router};
use drumline_runtime::waiting_for;
use drumline_tests::ModelQueue;
use tokio::time::{Instant, sleep};

use crate::running::{Consumer, in_memory};

const LEASE: Duration = Duration::from_secs(30);

#[derive(serde::Deserialize)]
struct Slow {}

impl Job for Slow {
    const TYPE: &'static str = "slow";
}

/// The classes that started to wait.
#[derive(Default)]
struct Waits(Mutex<Vec<(JobClass, LimitReason)>>);

impl Observer for Waits {
    fn observe(&self, event: &Event<'_>) {
        if let Event::Ledger { note: LedgerEvent::WaitsForLimit { class, reason, .. }, .. } = *event {
            self.0.lock().unwrap().push((class.clone(), *reason));
        }
    }
}

/// Returns a queue with this many jobs of ten seconds, of which one runs at a time.
fn start(jobs: usize) -> (ModelQueue, Consumer, Limits, Arc<Waits>) {
    let model = ModelQueue::new("jobs", LEASE, 5);
    for number in 0..jobs {
        model.send(&format!(r#"{{"jobId":"j-{number}","type":"slow","payload":{{}}}}"#), None);
    }
    let mut rules = LimitRules::none(NonZeroUsize::MIN);
    let one = TypeRules { concurrency: NonZeroUsize::new(1), ..TypeRules::default() };
    rules.types.insert("slow".to_owned(), one);
    let (limits, waits) = (Limits::new(rules), Arc::<Waits>::default());
    let router = Router::new().handle(|_: Context, _: Slow| async {
        sleep(Duration::from_secs(10)).await;
        Ok(())
    });
    let observer = Arc::clone(&waits) as Arc<dyn Observer>;
    let (store, intake) = (in_memory(), Intake::new("arn:test"));
    let consumer =
        Consumer::with_limits(&model, router, |_| {}, observer, store, intake, Some(limits.clone()));
    (model, consumer, limits, waits)
}

#[track_caller]
fn shows(consumer: &Consumer, lines: &[&str]) {
    let text = consumer.metrics.encode();
    for line in lines {
        assert!(text.contains(&format!("{line}\n")), "{line} in\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_counted_announced_once_and_named() {
    let (model, consumer, limits, waits) = start(4);
    let sentence = || waiting_for(&limits.snapshot(Instant::now().into_std()), Instant::now().into_std());
    sleep(Duration::from_secs(1)).await;
    shows(
        &consumer,
        &[
            r#"drumline_limit_waiting{queue="jobs",type="slow",reason="concurrency"} 3"#,
            r#"drumline_limit_running{type="slow"} 1"#,
            r#"drumline_limit_slots{type="slow"} 1"#,
        ],
    );
    assert_eq!(sentence().as_deref(), Some("3 jobs of slow wait for a slot (1 of 1 run)"));
    sleep(Duration::from_secs(10)).await;
    assert_eq!(sentence().as_deref(), Some("2 jobs of slow wait for a slot (1 of 1 run)"));
    model.drained().await;
    shows(
        &consumer,
        &[
            r#"drumline_limit_waiting{queue="jobs",type="slow",reason="concurrency"} 0"#,
            r#"drumline_limit_running{type="slow"} 0"#,
        ],
    );
    assert_eq!(sentence(), None);
    assert_eq!(*waits.0.lock().unwrap(), [(JobClass::of_type("slow"), LimitReason::Concurrency)]);
    consumer.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_type_is_closed_and_a_stopped_worker_shows_no_waits() {
    let (_model, consumer, limits, _) = start(4);
    sleep(Duration::from_secs(1)).await;
    limits.set_orders("slow", TypeOrders { is_paused: true, ..TypeOrders::default() });
    sleep(Duration::from_secs(11)).await;
    shows(
        &consumer,
        &[
            r#"drumline_limit_closed{type="slow",reason="operator"} 1"#,
            r#"drumline_limit_closed{type="slow",reason="throttled"} 0"#,
            r#"drumline_limit_waiting{queue="jobs",type="slow",reason="concurrency"} 0"#,
            r#"drumline_limit_waiting{queue="jobs",type="slow",reason="operator"} 3"#,
        ],
    );
    let now = Instant::now().into_std();
    let sentence = waiting_for(&limits.snapshot(now), now);
    assert_eq!(sentence.as_deref(), Some("slow is paused by an operator (3 jobs wait)"));
    let metrics = consumer.metrics.clone();
    consumer.stop().await;
    let text = metrics.encode();
    assert!(
        text.contains(r#"drumline_limit_waiting{queue="jobs",type="slow",reason="operator"} 0"#),
        "{text}"
    );
    assert!(limits.snapshot(now)[0].waiting.is_empty());
}
