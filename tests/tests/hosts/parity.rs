//! The same messages on the same clock have the same outcomes in both hosts: scripts of messages and of the ending of each
//! attempt, run by the consumer's loop and by Lambda's, on two queues with the same start.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline::core::{FailureClass, JitterMode, LedgerEvent, Policy, UnknownType};
use drumline::message::Intake;
use drumline::run::{Event, Observer};
use drumline::{Context, Failure, Job, RetryPolicy, Router};
use drumline_runtime::aws::is_fifo;
use drumline_tests::ModelQueue;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::time::sleep;

use crate::function::TestFunction;
use crate::running::{Consumer, in_memory};

/// Six times the function's timeout, as AWS recommends.
pub(crate) const VISIBILITY: Duration = Duration::from_secs(3600);
const MAX_RECEIVE_COUNT: u32 = 6;
/// On a FIFO queue, messages behind a failed one are received without a run, and how often depends on timing. A count that they
/// could reach would decide which of them move to the DLQ.
const MAX_RECEIVE_COUNT_FIFO: u32 = 60;
const CASES: u32 = 400;

/// The behaviour of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Done,
    DoneAfter(u64),
    Retry,
    RetryAfter(u64),
    Reject,
    Panic,
    /// Longer than the handler timeout.
    Hang,
}

#[derive(Debug, Clone)]
pub(crate) enum Body {
    Work(Vec<Turn>),
    Garbage,
    UnknownType,
}

/// Messages with their groups.
pub(crate) type Script = Vec<(Body, u8)>;

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        4 => Just(Turn::Done),
        2 => (1..20_u64).prop_map(Turn::DoneAfter),
        2 => Just(Turn::Retry),
        1 => (0..30_u64).prop_map(Turn::RetryAfter),
        1 => Just(Turn::Reject),
        1 => Just(Turn::Panic),
        1 => Just(Turn::Hang),
    ]
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        12 => proptest::collection::vec(turn(), 1..4).prop_map(Body::Work),
        1 => Just(Body::Garbage),
        1 => Just(Body::UnknownType),
    ]
}

pub(crate) fn script() -> impl Strategy<Value = Script> {
    proptest::collection::vec((body(), 0..3_u8), 1..14)
}

#[derive(serde::Deserialize)]
pub(crate) struct Work {
    pub(crate) name: usize,
}

impl Job for Work {
    const TYPE: &'static str = "work";
}

/// The turns of a script's messages. After its last turn a message succeeds.
pub(crate) struct Turns {
    turns: Vec<Vec<Turn>>,
    taken: Mutex<BTreeMap<usize, usize>>,
}

impl Turns {
    pub(crate) fn of(script: &Script) -> Self {
        let turns = |body: &Body| if let Body::Work(turns) = body { turns.clone() } else { Vec::new() };
        Self { turns: script.iter().map(|(body, _)| turns(body)).collect(), taken: Mutex::default() }
    }

    /// Takes the next turn of a message.
    pub(crate) fn next(&self, work: &Work) -> Turn {
        let mut taken = self.taken.lock().unwrap();
        let run = taken.entry(work.name).or_default();
        *run += 1;
        self.turns[work.name].get(*run - 1).copied().unwrap_or(Turn::Done)
    }
}

/// Returns a handler that follows the script.
pub(crate) fn router(script: &Script) -> Router {
    let turns = Turns::of(script);
    Router::new().handle(move |_: Context, work: Work| {
        let turn = turns.next(&work);
        async move {
            match turn {
                Turn::Done => Ok(()),
                Turn::DoneAfter(secs) => {
                    sleep(Duration::from_secs(secs)).await;
                    Ok(())
                }
                Turn::Retry => Err(Failure::retry("again")),
                Turn::RetryAfter(secs) => Err(Failure::retry_after(Duration::from_secs(secs), "later")),
                Turn::Reject => Err(Failure::reject("never")),
                Turn::Panic => panic!("on purpose"),
                Turn::Hang => std::future::pending().await,
            }
        }
    })
}

pub(crate) fn send_all(queue: &ModelQueue, script: &Script) -> Vec<String> {
    let body = |index: usize, body: &Body| match body {
        Body::Work(_) => format!(r#"{{"type":"work","payload":{{"name":{index}}}}}"#),
        Body::Garbage => "{".to_owned(),
        Body::UnknownType => r#"{"type":"nobody.knows","payload":{}}"#.to_owned(),
    };
    let fifo = is_fifo(&queue.queue_url);
    let send = |(index, (content, group)): (usize, &(Body, u8))| {
        queue.send(&body(index, content), fifo.then(|| format!("g{group}")).as_deref())
    };
    script.iter().enumerate().map(send).collect()
}

pub(crate) fn max_receive_count(name: &str) -> u32 {
    if is_fifo(name) { MAX_RECEIVE_COUNT_FIFO } else { MAX_RECEIVE_COUNT }
}

pub(crate) fn change(policy: &mut Policy) {
    if policy.fifo {
        // Otherwise it would be retried until the count is reached.
        policy.unknown_type = UnknownType::Reject;
    }
    policy.handler_timeout = Duration::from_secs(25);
    let retry = RetryPolicy::exponential(Duration::from_secs(1), 2.0, Duration::from_secs(60)).unwrap();
    policy.retry = retry.with_jitter(JitterMode::None);
}

/// The history of a message: the endings and outcomes of its runs in order, and its place now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Story {
    runs: Vec<(String, String)>,
    dead: bool,
}

/// Records outcomes.
#[derive(Default)]
struct Scribe(Mutex<BTreeMap<String, Vec<(String, String)>>>);

impl Observer for Scribe {
    fn observe(&self, event: &Event<'_>) {
        if let Event::Ledger { queue, note: LedgerEvent::Decided { message, outcome, run: Some(run), .. } } =
            *event
        {
            let ending = run.ending.class().map_or("done", FailureClass::label).to_owned();
            // The backoff grows with the receives, so on a FIFO queue it also depends on timing.
            let outcome = if is_fifo(queue) { outcome.label().to_owned() } else { format!("{outcome:?}") };
            self.0.lock().unwrap().entry(message.id.to_string()).or_default().push((ending, outcome));
        }
    }
}

impl Scribe {
    fn stories(&self, ids: &[String], queue: &ModelQueue) -> Vec<Story> {
        let told = self.0.lock().unwrap();
        let dead: Vec<String> = queue.dead().iter().map(|message| message.message_id.to_string()).collect();
        let story =
            |id: &String| Story { runs: told.get(id).cloned().unwrap_or_default(), dead: dead.contains(id) };
        ids.iter().map(story).collect()
    }
}

/// Creates the handler of a script.
type MakeRouter = fn(&Script) -> Router;

async fn by_the_consumer(name: &str, script: &Script, router: MakeRouter) -> Vec<Story> {
    let queue = ModelQueue::new(name, VISIBILITY, max_receive_count(name));
    let ids = send_all(&queue, script);
    let scribe = Arc::new(Scribe::default());
    let consumer = Consumer::watched(&queue, router(script), change, scribe.clone());
    queue.drained().await;
    consumer.stop().await;
    scribe.stories(&ids, &queue)
}

async fn by_the_function(name: &str, script: &Script, router: MakeRouter) -> Vec<Story> {
    let queue = ModelQueue::new(name, VISIBILITY, max_receive_count(name));
    let ids = send_all(&queue, script);
    let scribe = Arc::new(Scribe::default());
    let function = TestFunction {
        queue: queue.clone(),
        router: router(script),
        change,
        observer: scribe.clone(),
        claim_store: in_memory(),
        intake: Intake::new("arn:test"),
    };
    function.until_drained().await;
    scribe.stories(&ids, &queue)
}

/// Runs scripts of messages in both hosts.
pub(crate) fn same_in_both(name: &'static str, cases: u32, router: MakeRouter) {
    let mut runner = TestRunner::new(Config { cases, ..Config::default() });
    let result = runner.run(&script(), |script| {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let (consumer, function) = runtime.block_on(async {
            (by_the_consumer(name, &script, router).await, by_the_function(name, &script, router).await)
        });
        prop_assert_eq!(consumer, function);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_standard_queues_messages_fare_the_same_in_both_hosts() {
    same_in_both("jobs", CASES, router);
}

#[test]
fn a_fifo_queues_messages_fare_the_same_in_both_hosts() {
    same_in_both("jobs.fifo", CASES, router);
}

#[test]
fn a_script_covers_every_outcome() {
    let script: Script = vec![
        (Body::Work(vec![Turn::Done]), 0),
        (Body::Work(vec![Turn::Retry, Turn::Panic, Turn::Done]), 0),
        (Body::Work(vec![Turn::Reject]), 0),
        (Body::Work(vec![Turn::Hang, Turn::RetryAfter(7)]), 0),
        (Body::Garbage, 0),
        (Body::UnknownType, 0),
    ];
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let stories = runtime.block_on(by_the_function("jobs", &script, router));
    let endings = |story: &Story| story.runs.iter().map(|(ending, _)| ending.clone()).collect::<Vec<_>>();
    assert_eq!(endings(&stories[0]), ["done"]);
    assert_eq!(endings(&stories[1]), ["retry_asked", "panicked", "done"]);
    assert_eq!((endings(&stories[2]), stories[2].dead), (vec!["rejected".to_owned()], true));
    assert_eq!(endings(&stories[3]), ["timed_out", "retry_asked", "done"]);
    assert!(stories[4].dead && stories[5].dead);
}
