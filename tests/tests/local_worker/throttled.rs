//! A service that answers 429 for a while: the worker sends it as few requests as possible, in forward mode and from a Rust
//! handler.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use drumline_tests::{Answer, App, Launch, LocalQueue, Setup, eventually_within};
use serde_json::json;

const SLOTS: usize = 8;

/// The requests that the service accepts in each window.
const QUOTA: usize = 20;

const WINDOW: Duration = Duration::from_secs(2);

/// After a pause a worker receives carefully at first.
const PATIENCE: Duration = Duration::from_secs(90);

/// A service with a quota in each window. It answers all further requests with 429 and the remaining seconds.
#[derive(Default)]
struct Provider {
    /// The window of each request, and true if it was accepted.
    requests: Mutex<Vec<(u128, bool)>>,
}

impl Provider {
    fn answer(&self, began: Instant) -> Answer {
        let now = began.elapsed();
        let window = now.as_millis() / WINDOW.as_millis();
        let mut requests = self.requests.lock().unwrap();
        let taken = requests.iter().filter(|(of, taken)| *of == window && *taken).count();
        requests.push((window, taken < QUOTA));
        if taken < QUOTA {
            return Answer::ok();
        }
        let left = WINDOW.as_millis() * (window + 1) - now.as_millis();
        Answer::status(429).header("retry-after", &left.div_ceil(1000).to_string())
    }

    /// Returns the refusals in each window with refusals.
    fn refusals(&self) -> Vec<usize> {
        let requests = self.requests.lock().unwrap();
        let last = requests.last().map_or(0, |(window, _)| *window);
        let of = |window| requests.iter().filter(|(of, taken)| *of == window && !taken).count();
        (0..=last).map(of).filter(|count| *count > 0).collect()
    }

    fn taken(&self) -> usize {
        self.requests.lock().unwrap().iter().filter(|(_, taken)| *taken).count()
    }
}

/// Starts the service. It always accepts requests for other things.
async fn serve(limited: &'static str) -> (Arc<Provider>, App) {
    let provider = Arc::<Provider>::default();
    let (shared, began) = (Arc::clone(&provider), Instant::now());
    let app = App::start(move |call| {
        let is_limited = call.body.contains(limited) || call.line.contains(limited);
        let answer = if is_limited { shared.answer(began) } else { Answer::ok() };
        async move {
            // Long enough for all slots to be busy when the first is refused.
            tokio::time::sleep(Duration::from_millis(20)).await;
            answer
        }
    })
    .await;
    (provider, app)
}

async fn queue() -> LocalQueue {
    LocalQueue::create(Setup { max_receive_count: Some(3), ..Setup::default() }).await
}

#[track_caller]
fn expect_few_refusals(provider: &Provider, jobs: usize) {
    let refusals = provider.refusals();
    assert!(!refusals.is_empty(), "the quota was reached");
    assert!(refusals.iter().all(|count| *count <= SLOTS + 1), "those that ran, and a probe: {refusals:?}");
    assert_eq!(provider.taken(), jobs, "each job once");
}

#[tokio::test]
async fn an_application_that_answers_429_is_left_alone_for_that_type() {
    let ((provider, app), queue) = (serve("\"mail\"").await, queue().await);
    for _ in 0..60 {
        queue.send(r#"{"type":"mail","payload":{}}"#);
    }
    for _ in 0..20 {
        queue.send(r#"{"type":"report","payload":{}}"#);
    }
    let worker = Launch::on(&queue)
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_CONCURRENCY", &SLOTS.to_string())
        .spawn();
    eventually_within(PATIENCE, "all are done", async || queue.count() == 0).await;
    assert_eq!(queue.dead().len(), 0);
    expect_few_refusals(&provider, 60);
    assert_eq!(app.calls().iter().filter(|call| call.body.contains("report")).count(), 20);
    let throttled = r#"drumline_failures_total{queue="jobs",type="mail",class="throttled"}"#;
    let refusals: usize = provider.refusals().iter().sum();
    assert_eq!(worker.metric(throttled).await, u64::try_from(refusals).unwrap());
    worker.stop().await;
}

#[tokio::test]
async fn a_rust_handler_closes_its_type_as_well() {
    let ((provider, app), queue) = (serve("notify").await, queue().await);
    for n in 0..60 {
        let payload = json!({ "leadId": format!("lead-{n}"), "crmId": "crm-1" });
        queue.send(&json!({ "type": "lead.notify", "payload": payload }).to_string());
    }
    let worker = Launch::on(&queue)
        .env("DRUMLINE_LEAD_NOTIFY_URL", &format!("{}/notify", app.root()))
        .env("DRUMLINE_CONCURRENCY", &SLOTS.to_string())
        .spawn();
    eventually_within(PATIENCE, "all are done", async || queue.count() == 0).await;
    assert_eq!(queue.dead().len(), 0);
    expect_few_refusals(&provider, 60);
    worker.stop().await;
}
