//! Queues of one worker that share its slots by their weights.

use std::time::{Duration, Instant};

use drumline_queue::api::SendMessage;
use drumline_tests::{Answer, App, Call, Launch, LocalQueue, Setup, Worker, eventually};

/// Besides `jobs`, which every local queue has: with the weights 5, 3 and 1 in this order.
const QUEUES: [(&str, u32); 3] = [("jobs", 5), ("mails", 3), ("reports", 1)];

const SLOTS: usize = 18;

struct Queues {
    local: LocalQueue,
    urls: Vec<String>,
}

impl Queues {
    async fn create() -> Self {
        let local = LocalQueue::create(Setup { max_receive_count: None, ..Setup::default() }).await;
        let create = |name: &str| local.endpoint().create_queue(name, &[]).unwrap();
        let others = QUEUES[1..].iter().map(|(name, _)| create(name));
        let urls = [local.url.clone()].into_iter().chain(others).collect();
        Self { local, urls }
    }

    fn send(&self, index: usize, count: usize) {
        for n in 0..count {
            let request = SendMessage {
                queue_url: self.urls[index].clone(),
                message_body: format!(r#"{{"type":"a.b","payload":{n}}}"#),
                ..SendMessage::default()
            };
            self.local.endpoint().call(|sqs, now| sqs.send_message(now, request)).unwrap();
        }
    }

    fn worker(&self, app: &App) -> Worker {
        let launch = Launch::on(&self.local).without("DRUMLINE_QUEUE_URL").env("DRUMLINE_LOG", "warn");
        let tables = QUEUES.iter().zip(&self.urls);
        let tables =
            tables.map(|((_, weight), url)| format!("[[queue]]\nurl = {url:?}\nweight = {weight}\n"));
        let settings = launch.home().join("drumline.toml");
        let text = format!("concurrency = {SLOTS}\nallow_unbounded = true\n{}", tables.collect::<String>());
        std::fs::write(&settings, text).unwrap();
        let launch = launch.env("DRUMLINE_CONFIG", &settings.display().to_string());
        launch.env("DRUMLINE_FORWARD_TO", &app.url()).spawn()
    }
}

fn is_of(call: &Call, queue: &str) -> bool {
    call.header("x-aws-sqsd-queue") == Some(queue)
}

#[tokio::test]
async fn queues_with_a_backlog_have_their_shares_of_the_starts() {
    const UNTIL_STEADY: usize = 500;
    const COUNTED: usize = 3_000;
    let queues = Queues::create().await;
    let app = App::start(|_| async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Answer::ok()
    })
    .await;
    for (index, (_, weight)) in QUEUES.iter().enumerate() {
        // More than twice the jobs of its share.
        queues.send(index, 1_000 * *weight as usize);
    }
    let worker = queues.worker(&app);
    let begun = Instant::now();
    while app.count() < UNTIL_STEADY + COUNTED {
        assert!(begun.elapsed() < Duration::from_secs(240), "{} jobs have started", app.count());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let calls = app.calls();
    worker.kill().await;
    let counted = &calls[UNTIL_STEADY..UNTIL_STEADY + COUNTED];
    for (name, weight) in QUEUES {
        let started = counted.iter().filter(|call| is_of(call, name)).count();
        let share = COUNTED * weight as usize / 9;
        let off = started.abs_diff(share);
        assert!(20 * off <= share, "{name}: {started} of {COUNTED} have started, its share is {share}");
    }
}

#[tokio::test]
async fn an_idle_queues_message_starts_at_once_with_other_slots_taken() {
    const JOB: Duration = Duration::from_secs(10);
    let queues = Queues::create().await;
    let app = App::start(|call| async move {
        if !is_of(&call, "reports") {
            tokio::time::sleep(JOB).await;
        }
        Answer::ok()
    })
    .await;
    let worker = queues.worker(&app);
    queues.send(0, 100);
    queues.send(1, 100);
    // The open receive of the idle queue has one slot.
    eventually("all other slots are taken", async || app.count() == SLOTS - 1).await;
    let sent = Instant::now();
    queues.send(2, 1);
    eventually("it starts", async || app.calls().iter().any(|call| is_of(call, "reports"))).await;
    let took = sent.elapsed();
    assert!(took < JOB / 3, "it has waited {took:?}");
    assert_eq!(app.count(), SLOTS, "and no other job has ended");
    worker.kill().await;
}
