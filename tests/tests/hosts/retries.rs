//! The default backoff and an outage of what all jobs depend on, on a paused clock.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline::{Context, Failure, Job, ReceiveLimit, RetryLimits, RetryPolicy, Router};
use drumline_tests::ModelQueue;
use tokio::time::Instant;

use crate::running::Consumer;

const LEASE: Duration = Duration::from_secs(30);
const OUTAGE: Duration = Duration::from_secs(45);
const MESSAGES: usize = 40;

#[derive(serde::Deserialize)]
struct Depends {}

impl Job for Depends {
    const TYPE: &'static str = "depends";
}

fn auto(max_receive_count: u32) -> RetryPolicy {
    let receives = ReceiveLimit::AtMost(NonZeroU32::new(max_receive_count).unwrap());
    RetryPolicy::auto().fitted(&RetryLimits { receives, ..RetryLimits::default() })
}

/// Runs `MESSAGES` jobs whose dependency is down for this long from the beginning. Returns the times at which they are done.
async fn done_after(outage: Duration, max_receive_count: u32, model: &ModelQueue) -> Vec<Duration> {
    for _ in 0..MESSAGES {
        model.send(r#"{"type":"depends","payload":{}}"#, None);
    }
    let begun = Instant::now();
    let done: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let times = Arc::clone(&done);
    let router = Router::new().handle(move |_: Context, _: Depends| {
        let times = Arc::clone(&times);
        async move {
            if begun.elapsed() < outage {
                return Err(Failure::retry("the dependency is down"));
            }
            times.lock().unwrap().push(begun.elapsed());
            Ok(())
        }
    });
    let consumer = Consumer::start(model, router, |policy| policy.retry = auto(max_receive_count));
    model.drained().await;
    consumer.stop().await;
    done.lock().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_kills_no_message_and_is_over_within_a_minute_of_its_end() {
    for max_receive_count in [5, 6, 8, 10, 100] {
        let model = ModelQueue::new("jobs", LEASE, max_receive_count);
        let done = done_after(OUTAGE, max_receive_count, &model).await;
        assert_eq!(done.len(), MESSAGES, "maxReceiveCount {max_receive_count}: none is dead");
        let last = done.iter().max().unwrap();
        assert!(*last <= OUTAGE + Duration::from_secs(60), "maxReceiveCount {max_receive_count}: {last:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_ten_minutes_kills_no_message() {
    for max_receive_count in [2, 3, 5, 10, 100] {
        let model = ModelQueue::new("jobs", LEASE, max_receive_count);
        let done = done_after(Duration::from_secs(600), max_receive_count, &model).await;
        assert_eq!(done.len(), MESSAGES, "maxReceiveCount {max_receive_count}: none is dead");
    }
}
