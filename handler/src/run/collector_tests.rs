#![allow(clippy::unwrap_used)]
use super::*;
use crate::batch::{BatchContext, BatchOptions, Item, Rest};
use crate::core::control::{CancelReason, RunControl};
use crate::core::ending::Ending;
use crate::core::ids::DeliveryId;
use crate::core::maybe_ready::MaybeReady;
use crate::core::run_report::RunReport;
use crate::message::intake::Intake;
use crate::message::sqs_message::Message;
use crate::run::Attempt;
use crate::{Job, Router};
use futures_util::future::BoxFuture;
use serde_json::json;
use std::num::NonZeroU32;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

#[derive(serde::Deserialize)]
struct Row {
    number: u32,
}

impl Job for Row {
    const TYPE: &'static str = "row";
}

/// A host whose linger ends when the test decides.
struct Desk {
    free_slots: AtomicUsize,
    lingered: AtomicBool,
    linger: Event,
    work: Mutex<Vec<Box<dyn FnOnce() + Send>>>,
}

impl RunEnvironment for Desk {
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        self.work.lock().unwrap().push(work);
    }

    fn linger(&self, _: Duration, _: Instant) -> MaybeReady<'_, bool> {
        MaybeReady::later(async {
            let listener = self.linger.listen();
            if !self.lingered.load(Ordering::SeqCst) {
                listener.await;
            }
            true
        })
    }

    fn free_slots(&self) -> usize {
        self.free_slots.load(Ordering::SeqCst)
    }
}

impl Desk {
    /// A host with more slots than runs.
    fn new() -> Arc<Self> {
        Arc::new(Self {
            free_slots: AtomicUsize::new(usize::MAX),
            lingered: AtomicBool::new(false),
            linger: Event::new(),
            work: Mutex::default(),
        })
    }

    fn full() -> Arc<Self> {
        let desk = Self::new();
        desk.free_slots.store(0, Ordering::SeqCst);
        desk
    }

    fn end_linger(&self) {
        self.lingered.store(true, Ordering::SeqCst);
        self.linger.notify(usize::MAX);
    }
}

struct Running {
    future: Option<BoxFuture<'static, RunReport>>,
    control: RunControl,
}

impl Running {
    /// Polls the run. Returns its ending, if it has ended.
    fn poll(&mut self) -> Option<Ending> {
        let report = self.future.as_mut()?.now_or_never()?;
        self.future = None;
        Some(report.ending)
    }
}

#[allow(clippy::disallowed_methods, reason = "a deadline that does not come")]
fn attempt(router: &Router, desk: &Arc<Desk>, number: u32) -> Attempt {
    let queue: Arc<str> = "jobs".into();
    let body = json!({ "type": "row", "payload": { "number": number } }).to_string();
    let now = Instant::now();
    Attempt {
        delivery: DeliveryId(u64::from(number)),
        intake: Arc::new(Intake::new("arn:jobs")),
        message: Arc::new(Message { id: format!("m{number}").into(), body, ..Message::default() }),
        number: NonZeroU32::MIN,
        started_at: now,
        deadline: now + Duration::from_secs(60),
        latest_deadline: now + Duration::from_secs(60),
        claim_length: Duration::from_secs(27),
        permit: None,
        arrival: router.arrival(&queue),
        control: RunControl::new(),
        host: Arc::clone(desk) as Arc<dyn RunEnvironment>,
        queue,
    }
}

fn run(router: &Router, attempt: Attempt) -> Running {
    let (control, router) = (attempt.control.clone(), router.clone());
    Running { future: Some(async move { router.run(attempt).await }.boxed()), control }
}

fn start(router: &Router, desk: &Arc<Desk>, number: u32) -> Running {
    run(router, attempt(router, desk, number))
}

fn start_all(router: &Router, desk: &Arc<Desk>, numbers: impl IntoIterator<Item = u32>) -> Vec<Running> {
    numbers.into_iter().map(|number| start(router, desk, number)).collect()
}

/// Polls the runs in turn until none makes progress. Returns the endings so far.
fn poll_all(runs: &mut [Running]) -> Vec<Option<Ending>> {
    let mut endings: Vec<Option<Ending>> = runs.iter().map(|_| None).collect();
    for _ in 0..3 {
        for (run, ending) in runs.iter_mut().zip(&mut endings) {
            if let Some(ended) = run.poll() {
                *ending = Some(ended);
            }
        }
    }
    endings
}

type Seen = Arc<Mutex<Vec<Vec<u32>>>>;

/// A handler that records its batches, and finishes them at once.
fn noting(options: BatchOptions, seen: &Seen) -> Router {
    let seen = Arc::clone(seen);
    Router::new().handle_batch(options, move |_: BatchContext, items: Vec<Item<Row>>| {
        seen.lock().unwrap().push(items.iter().map(|item| item.job.number).collect());
        async { Ok(Rest::Done) }
    })
}

fn retry(reason: &str) -> Ending {
    Ending::RetryAsked { after: None, reason: reason.to_owned() }
}

#[test]
fn a_batch_starts_when_none_can_join_it_any_more() {
    let (seen, desk) = (Seen::default(), Desk::full());
    let router = noting(BatchOptions::new(), &seen);
    let mut runs = start_all(&router, &desk, 1..=3);
    assert_eq!(poll_all(&mut runs), vec![Some(Ending::Done); 3]);
    assert_eq!(*seen.lock().unwrap(), [[1, 2, 3]]);
}

#[test]
fn a_batch_starts_when_its_linger_is_over() {
    let (seen, desk) = (Seen::default(), Desk::new());
    let router = noting(BatchOptions::new(), &seen);
    let mut runs = start_all(&router, &desk, 1..=2);
    assert_eq!(poll_all(&mut runs), [None, None], "others may come");
    desk.end_linger();
    assert_eq!(poll_all(&mut runs), vec![Some(Ending::Done); 2]);
    assert_eq!(*seen.lock().unwrap(), [[1, 2]]);
}

#[test]
fn a_full_batch_starts_and_the_next_item_begins_another() {
    let (seen, desk) = (Seen::default(), Desk::new());
    let router = noting(BatchOptions::new().max_items(2), &seen);
    let mut runs = start_all(&router, &desk, 1..=5);
    let ended = poll_all(&mut runs);
    assert_eq!(ended.iter().flatten().count(), 4, "the last one waits for another: {ended:?}");
    assert_eq!(*seen.lock().unwrap(), [[1, 2], [3, 4]]);
}

#[test]
fn each_item_has_its_own_outcome() {
    let desk = Desk::full();
    let router = Router::new().handle_batch(
        BatchOptions::new(),
        |_: BatchContext, items: Vec<Item<Row>>| async move {
            items[0].context.set_result(&items[0].job.number)?;
            items[0].done();
            items[1].failed(Failure::reject("never"));
            items[2].failed("no answer");
            Ok(Rest::Retry)
        },
    );
    let mut runs = start_all(&router, &desk, 1..=4);
    let rejected = Ending::Rejected { reason: "never".into() };
    let unsettled = retry("the batch handler has not settled this item");
    let expected = [Ending::Done, rejected, retry("no answer"), unsettled].map(Some);
    assert_eq!(poll_all(&mut runs), expected);
}

#[test]
fn an_error_or_a_panic_fails_the_items_that_are_not_settled() {
    for (panics, ending) in
        [(false, retry("no connection")), (true, Ending::Panicked { reason: "no connection".into() })]
    {
        let router = Router::new().handle_batch(
            BatchOptions::new(),
            move |_: BatchContext, items: Vec<Item<Row>>| async move {
                assert!(Context::current().is_none(), "it belongs to several attempts");
                items[1].done();
                assert!(!panics, "no connection");
                Err("no connection")?;
                Ok(Rest::Done)
            },
        );
        let mut runs = start_all(&router, &Desk::full(), 1..=3);
        let expected = [ending.clone(), Ending::Done, ending].map(Some);
        assert_eq!(poll_all(&mut runs), expected);
    }
}

/// A handler that settles its second item, and waits until the test lets it return.
fn waiting(gate: &Arc<Event>) -> Router {
    let gate = Arc::clone(gate);
    Router::new().handle_batch(BatchOptions::new(), move |_: BatchContext, items: Vec<Item<Row>>| {
        let opened = gate.listen();
        async move {
            items[1].done();
            opened.await;
            Ok(Rest::Done)
        }
    })
}

#[test]
fn a_batch_goes_on_without_the_run_that_polled_it() {
    let (gate, desk) = (Arc::new(Event::new()), Desk::full());
    let mut runs = start_all(&waiting(&gate), &desk, 1..=3);
    assert_eq!(poll_all(&mut runs), [None, None, None]);
    runs[0].control.cancel(CancelReason::TimedOut);
    assert_eq!(poll_all(&mut runs), [None, None, None], "the handler has time to return");
    runs[0].control.abort();
    assert_eq!(poll_all(&mut runs), [Some(Ending::Interrupted), None, None]);
    gate.notify(1);
    assert_eq!(poll_all(&mut runs), [None, Some(Ending::Done), Some(Ending::Done)]);
}

#[test]
fn a_settled_item_keeps_its_outcome_when_its_run_is_dropped() {
    let (gate, desk) = (Arc::new(Event::new()), Desk::full());
    let mut runs = start_all(&waiting(&gate), &desk, 1..=3);
    poll_all(&mut runs);
    for run in &runs {
        run.control.cancel(CancelReason::Shutdown);
        run.control.abort();
    }
    let ended = poll_all(&mut runs);
    assert_eq!(ended, [Some(Ending::Interrupted), Some(Ending::Done), Some(Ending::Interrupted)]);
    assert_eq!(gate.notify(1), 0, "the handler is dropped with its last item");
}

#[test]
fn a_run_that_is_stopped_leaves_a_batch_that_has_not_started() {
    let (seen, desk) = (Seen::default(), Desk::new());
    let router = noting(BatchOptions::new(), &seen);
    let mut runs = start_all(&router, &desk, 1..=3);
    poll_all(&mut runs);
    runs[0].control.cancel(CancelReason::LeaseLost);
    let stopped = retry("the run was stopped before its batch began");
    assert_eq!(poll_all(&mut runs), [Some(stopped), None, None]);
    // As at the end of a loop: the run is dropped, and not asked to stop.
    runs[1].control.abort();
    assert_eq!(poll_all(&mut runs), [None, Some(Ending::Interrupted), None]);
    desk.end_linger();
    assert_eq!(poll_all(&mut runs)[2], Some(Ending::Done));
    assert_eq!(*seen.lock().unwrap(), [[3]]);
}

#[test]
fn a_batch_that_all_have_left_is_gone() {
    let (seen, desk) = (Seen::default(), Desk::new());
    let router = noting(BatchOptions::new(), &seen);
    let mut runs = start_all(&router, &desk, 1..=2);
    poll_all(&mut runs);
    drop(runs);
    assert_eq!(Arc::strong_count(&desk), 1, "nothing is kept");
    runs = start_all(&router, &Desk::full(), 3..=3);
    assert_eq!(poll_all(&mut runs), [Some(Ending::Done)]);
    assert_eq!(*seen.lock().unwrap(), [[3]]);
}

#[test]
fn an_item_with_less_time_than_the_first_starts_the_batch() {
    let (seen, desk) = (Seen::default(), Desk::new());
    let router = noting(BatchOptions::new(), &seen);
    let late = attempt(&router, &desk, 2);
    let earlier = late.started_at + Duration::from_secs(1);
    let mut runs = vec![start(&router, &desk, 1)];
    poll_all(&mut runs);
    runs.push(run(&router, Attempt { deadline: earlier, ..late }));
    assert_eq!(poll_all(&mut runs), vec![Some(Ending::Done); 2]);
    assert_eq!(*seen.lock().unwrap(), [[1, 2]]);
}

#[test]
fn blocking_work_keeps_every_item() {
    let desk = Desk::full();
    let router =
        Router::new().handle_batch(BatchOptions::new(), |ctx: BatchContext, _: Vec<Item<Row>>| async move {
            ctx.blocking(|| Ok(())).await?;
            Ok(Rest::Done)
        });
    let mut runs = start_all(&router, &desk, 1..=2);
    poll_all(&mut runs);
    runs[1].control.cancel(CancelReason::TimedOut);
    runs[1].control.abort();
    assert_eq!(poll_all(&mut runs), [None, None], "the message stays the worker's");
    for work in std::mem::take(&mut *desk.work.lock().unwrap()) {
        work();
    }
    assert_eq!(poll_all(&mut runs), [Some(Ending::Done), Some(Ending::Interrupted)]);
}

#[test]
fn a_type_with_a_batch_handler_is_like_any_other() {
    let router = noting(BatchOptions::new(), &Seen::default());
    assert_eq!(router.types().collect::<Vec<_>>(), ["row"]);
    let message = Message { body: r#"{"type":"row","payload":{}}"#.into(), ..Message::default() };
    assert!(matches!(router.precheck(&message, &Intake::default()), crate::run::Precheck::Refused(_)));
    let none = noting(BatchOptions::new().max_items(0), &Seen::default());
    assert_eq!(
        none.check().unwrap_err().to_string(),
        "job type row: the max_items of its batches starts at 1"
    );
}
