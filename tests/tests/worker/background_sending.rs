//! Sending in the background from a process, while SQS fails and when the process ends: its output matches the queue.

use std::collections::{BTreeMap, BTreeSet};

use drumline_tests::{
    Fault, Finished, Launch, LocalQueue, Proxy, Setup, TestQueue, Worker, binary, eventually, localstack,
};
use serde_json::Value;

const SEND: &str = "SendMessageBatch";
const JOBS: u64 = 400;

/// The same queue twice: on LocalStack and embedded.
enum Queue {
    LocalStack(TestQueue),
    Embedded(LocalQueue),
}

impl Queue {
    async fn both(name: &str, fifo: bool) -> [Self; 2] {
        let setup = Setup { fifo, ..Setup::default() };
        [
            Self::LocalStack(TestQueue::create(name, setup).await),
            Self::Embedded(LocalQueue::create(setup).await),
        ]
    }

    fn url(&self) -> &str {
        match self {
            Self::LocalStack(queue) => &queue.url,
            Self::Embedded(queue) => &queue.url,
        }
    }

    async fn proxy(&self) -> Proxy {
        match self {
            Self::LocalStack(_) => Proxy::start(&localstack()).await,
            Self::Embedded(queue) => Proxy::start(&queue.endpoint_url()).await,
        }
    }

    /// Returns the numbers of the jobs in the queue, by caller, in order, and deletes them.
    async fn take(&self) -> BTreeMap<u64, Vec<u64>> {
        let bodies = match self {
            Self::LocalStack(queue) => take_all(queue).await,
            Self::Embedded(queue) => {
                let messages = queue.endpoint().peek(&queue.url).unwrap();
                messages.iter().map(|message| message.body.to_string()).collect()
            }
        };
        let mut by_caller: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for body in bodies {
            let payload = serde_json::from_str::<Value>(&body).unwrap()["payload"].take();
            let number = |name: &str| payload[name].as_u64().unwrap();
            by_caller.entry(number("caller")).or_default().push(number("number"));
        }
        by_caller
    }
}

/// Returns the bodies of all messages, in the order of their groups, and deletes them.
async fn take_all(queue: &TestQueue) -> Vec<String> {
    let mut bodies = Vec::new();
    loop {
        let receive = queue.client.receive_message().queue_url(&queue.url).max_number_of_messages(10);
        let messages = receive.send().await.unwrap().messages.unwrap_or_default();
        if messages.is_empty() {
            return bodies;
        }
        for message in messages {
            let delete = queue.client.delete_message().queue_url(&queue.url);
            delete.receipt_handle(message.receipt_handle.unwrap()).send().await.unwrap();
            bodies.push(message.body.unwrap());
        }
    }
}

fn launch(queue: &Queue, proxy: &Proxy, jobs: u64) -> Launch {
    Launch::new(&[])
        .program(binary("drumline-tests", "background_sender"))
        .without("DRUMLINE_HTTP_ADDR")
        .env("DRUMLINE_QUEUE_URL", queue.url())
        .env("AWS_ENDPOINT_URL", &proxy.url())
        .env("SENDS_JOBS", &jobs.to_string())
}

/// The numbers that a process printed, by the state it printed.
#[derive(Debug, Default)]
struct Said(BTreeMap<String, BTreeSet<u64>>);

impl Said {
    fn by(lines: &[String]) -> Self {
        let (mut said, mut answered) = (Self::default(), BTreeSet::new());
        for line in lines {
            let mut words = line.split(' ');
            let (state, number) =
                (words.next().unwrap(), words.next().and_then(|number| number.parse().ok()));
            if let Some(number) = number {
                assert!(answered.insert(number), "{number} is answered once: {line}");
                said.0.entry(state.to_owned()).or_default().insert(number);
            }
        }
        said
    }

    fn get(&self, state: &str) -> BTreeSet<u64> {
        self.0.get(state).cloned().unwrap_or_default()
    }

    fn all(&self) -> BTreeSet<u64> {
        self.0.values().flatten().copied().collect()
    }

    /// Expects that its output matches the queue.
    fn is_true_of(&self, taken: &BTreeMap<u64, Vec<u64>>) {
        let there: BTreeSet<u64> = taken.values().flatten().copied().collect();
        let lost: Vec<u64> = self.get("sent").difference(&there).copied().collect();
        assert!(lost.is_empty(), "acknowledged and not in the queue: {lost:?}");
        for state in ["refused", "unsent"] {
            let wrong: Vec<u64> = self.get(state).intersection(&there).copied().collect();
            assert!(wrong.is_empty(), "{state}, and in the queue: {wrong:?}");
        }
        let foreign: Vec<u64> = there.difference(&self.all()).copied().collect();
        assert!(foreign.is_empty(), "in the queue without an answer: {foreign:?}");
    }
}

/// Makes the program send all jobs, and expects a result for each.
async fn send_all(queue: &Queue, proxy: &Proxy) -> Said {
    let finished: Finished =
        launch(queue, proxy, JOBS).spawn().finish_within(std::time::Duration::from_secs(90)).await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let said = Said::by(&finished.stdout);
    assert_eq!(said.all(), (0..JOBS).collect(), "each job is answered: {}", finished.errors());
    said
}

fn in_order_and_once(taken: &BTreeMap<u64, Vec<u64>>) {
    for (caller, numbers) in taken {
        assert!(numbers.is_sorted_by(|a, b| a < b), "caller {caller}: {numbers:?}");
    }
}

fn once(taken: &BTreeMap<u64, Vec<u64>>) {
    let all: Vec<u64> = taken.values().flatten().copied().collect();
    let distinct: BTreeSet<u64> = all.iter().copied().collect();
    assert_eq!(all.len(), distinct.len(), "some are there twice");
}

#[tokio::test]
async fn throttled_requests_are_retried_and_abandoned_ones_not_queued() {
    for queue in Queue::both("throttled", false).await {
        let proxy = queue.proxy().await;
        proxy.fail_share(SEND, Fault::Throttled, 50);
        let said = send_all(&queue, &proxy).await;
        assert!(said.get("sent").len() > 300 && said.get("in-doubt").is_empty(), "{said:?}");
        let taken = queue.take().await;
        said.is_true_of(&taken);
        once(&taken);
    }
}

#[tokio::test]
async fn of_entries_of_which_half_fail_each_caller_gets_the_truth() {
    for queue in Queue::both("half", false).await {
        let proxy = queue.proxy().await;
        proxy.fail_share(SEND, Fault::HalfOfEntriesFail, 100);
        let said = send_all(&queue, &proxy).await;
        // A quarter of all tries is refused permanently: that is a third of those that end, and some fail five times.
        assert!(said.get("sent").len() > 200 && said.get("refused").len() > 60, "{said:?}");
        assert!(said.get("in-doubt").is_empty(), "{said:?}");
        let taken = queue.take().await;
        said.is_true_of(&taken);
        once(&taken);
    }
}

#[tokio::test]
async fn half_of_the_entries_failing_leaves_groups_in_order() {
    for queue in Queue::both("half", true).await {
        let proxy = queue.proxy().await;
        proxy.fail_share(SEND, Fault::HalfOfEntriesFail, 20);
        let said = send_all(&queue, &proxy).await;
        let taken = queue.take().await;
        said.is_true_of(&taken);
        in_order_and_once(&taken);
    }
}

#[tokio::test]
async fn after_lost_responses_a_fifo_queue_has_jobs_once_in_order() {
    for queue in Queue::both("lost", true).await {
        let proxy = queue.proxy().await;
        proxy.fail_share(SEND, Fault::AnswerLost, 25);
        let said = send_all(&queue, &proxy).await;
        let taken = queue.take().await;
        said.is_true_of(&taken);
        in_order_and_once(&taken);
    }
}

#[tokio::test]
async fn after_lost_responses_a_standard_queue_has_each_job() {
    for queue in Queue::both("lost", false).await {
        let proxy = queue.proxy().await;
        proxy.fail_share(SEND, Fault::AnswerLost, 25);
        let said = send_all(&queue, &proxy).await;
        let taken = queue.take().await;
        said.is_true_of(&taken);
        let messages = taken.values().map(Vec::len).sum::<usize>();
        assert!(messages > said.get("sent").len(), "some are there twice, which is the price");
    }
}

#[tokio::test]
async fn slow_answers_hold_up_no_other_request() {
    for queue in Queue::both("slow", false).await {
        let proxy = queue.proxy().await;
        // Two of the first ten requests get their responses after one second.
        for _ in 0..2 {
            proxy.pass(SEND, 4);
            proxy.fail(SEND, Fault::SlowAnswer, 1);
        }
        let said = send_all(&queue, &proxy).await;
        assert_eq!(said.get("sent").len(), 400, "{said:?}");
        let slow =
            |(_, request): &(std::time::Instant, Value)| request["Entries"].as_array().map_or(0, Vec::len);
        let requests = proxy.requests(SEND);
        let begun = requests[9].0;
        let meanwhile: usize =
            requests[10..].iter().filter(|(at, _)| (*at - begun).as_millis() < 900).map(slow).sum();
        assert!(meanwhile > 20, "{meanwhile} jobs left while two requests were slow");
        said.is_true_of(&queue.take().await);
    }
}

/// Kills the process when it has printed this many receipts.
async fn kill_after(worker: Worker, receipts: usize) -> Said {
    eventually("some are sent", async || worker.stdout().len() >= receipts).await;
    Said::by(&worker.kill_and_read().await)
}

#[tokio::test]
async fn what_a_killed_process_had_acknowledged_is_in_the_queue() {
    for fifo in [false, true] {
        for queue in Queue::both("killed", fifo).await {
            let proxy = queue.proxy().await;
            proxy.fail_share(SEND, Fault::AnswerLost, 10);
            let said = kill_after(launch(&queue, &proxy, 1_000_000).spawn(), 300).await;
            let taken = queue.take().await;
            let there: BTreeSet<u64> = taken.values().flatten().copied().collect();
            let lost: Vec<u64> = said.get("sent").difference(&there).copied().collect();
            assert!(lost.is_empty(), "acknowledged and not in the queue: {lost:?}");
            assert!(said.get("sent").len() >= 300, "{said:?}");
            if fifo {
                in_order_and_once(&taken);
            }
        }
    }
}

#[tokio::test]
async fn a_process_that_is_asked_to_stop_sends_what_it_has_accepted() {
    use drumline_tests::Signal;
    for queue in Queue::both("stopped", false).await {
        let proxy = queue.proxy().await;
        proxy.fail_share(SEND, Fault::Throttled, 20);
        let worker = launch(&queue, &proxy, 20_000).spawn();
        eventually("some are sent", async || worker.stdout().len() >= 200).await;
        worker.signal(Signal::TERM);
        let finished = worker.finish().await;
        assert_eq!(finished.status, Some(0), "{}", finished.errors());
        assert_eq!(finished.stdout.last().map(String::as_str), Some("shut down"));
        let said = Said::by(&finished.stdout);
        assert!(said.get("sent").len() >= 200);
        assert!(!said.get("unsent").is_empty(), "the others were not accepted any more");
        said.is_true_of(&queue.take().await);
    }
}
