#![allow(clippy::unwrap_used)]
#![allow(clippy::needless_pass_by_value, reason = "as handlers take their context")]
use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::FutureExt;

use crate::api::attempt_info::AttemptInfo;
use crate::api::run_environment::{NextError, RunEnvironment};
use crate::core::control::{CancelReason, RunControl};
use crate::core::ending::Ending;
use crate::core::ids::DeliveryId;
use crate::core::maybe_ready::MaybeReady;
use crate::core::next_job::{MAX_NEXT_JOBS, NextJob, NextJobs};
use crate::core::run_report::RunReport;
use crate::message::intake::Intake;
use crate::message::sqs_message::Message;
use crate::run::attempt::Attempt;
use crate::{Context, Failure, Job, NextOptions, RetryPolicy, Router};

#[derive(serde::Serialize, serde::Deserialize)]
struct Step {
    n: u32,
}

impl Job for Step {
    const TYPE: &'static str = "step";
    const VERSION: u32 = 2;

    fn idempotency_key(&self) -> Option<String> {
        (self.n > 1).then(|| format!("step:{}", self.n))
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Other {}

impl Job for Other {
    const TYPE: &'static str = "other";
}

/// A job without a field that its handler needs.
#[derive(serde::Serialize, serde::Deserialize)]
struct Odd {
    #[serde(skip_serializing)]
    _needed: u32,
}

impl Job for Odd {
    const TYPE: &'static str = "odd";
}

/// The fate of the jobs.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Sent,
    WithMark,
    Retry,
    Permanent,
    Panics,
    Hangs,
}

struct Host {
    way: Way,
    given: Mutex<Vec<NextJob>>,
}

impl RunEnvironment for Host {
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }

    fn sleep(&self, _: Duration, _: Instant) -> MaybeReady<'_, bool> {
        MaybeReady::now(true)
    }

    fn send_next<'a>(
        &'a self,
        _: &'a AttemptInfo,
        jobs: Vec<NextJob>,
    ) -> MaybeReady<'a, Result<Option<NextJobs>, NextError>> {
        self.given.lock().unwrap().extend(jobs.clone());
        MaybeReady::now(match self.way {
            Way::Sent => Ok(None),
            Way::WithMark => Ok(Some(NextJobs(jobs.into()))),
            Way::Retry => Err(NextError::Retry("no route".to_owned())),
            Way::Permanent => Err(NextError::Permanent("a secret".to_owned())),
            Way::Panics => panic!("in the host"),
            Way::Hangs => return MaybeReady::later(std::future::pending()),
        })
    }
}

const BODY: &str = r#"{"type":"step","schemaVersion":2,"jobId":"j","correlationId":"c","payload":{"n":1}}"#;

#[allow(clippy::disallowed_methods, reason = "a test's own clock")]
fn attempt(host: Arc<dyn RunEnvironment>, message_id: &str, control: &RunControl) -> Attempt {
    let now = Instant::now();
    Attempt {
        delivery: DeliveryId(1),
        queue: "jobs".into(),
        intake: Arc::new(Intake::new("arn:jobs")),
        message: Arc::new(Message { id: message_id.into(), body: BODY.into(), ..Message::default() }),
        number: NonZeroU32::MIN,
        started_at: now,
        deadline: now + Duration::from_secs(60),
        latest_deadline: now + Duration::from_secs(60),
        claim_length: Duration::from_secs(27),
        permit: None,
        arrival: None,
        control: control.clone(),
        host,
    }
}

/// Runs one attempt. Returns its report, and the jobs that its host received.
fn run(handler: fn(Context) -> Result<(), Failure>, way: Way, message_id: &str) -> (RunReport, Vec<NextJob>) {
    let host = Arc::new(Host { way, given: Mutex::default() });
    let router = Router::new().handle(move |ctx: Context, _: Step| async move { handler(ctx) });
    let attempt = attempt(Arc::clone(&host) as _, message_id, &RunControl::new());
    let report = router.run(attempt).now_or_never().expect("nothing to wait for");
    let given = std::mem::take(&mut *host.given.lock().unwrap());
    (report, given)
}

fn declares(ctx: Context) -> Result<(), Failure> {
    let options = NextOptions::new().delay(Duration::from_secs(9)).group("g").queue("mail");
    ctx.then(&Step { n: 2 })?;
    ctx.then_with(&Other {}, options)?;
    ctx.then(&Step { n: 1 })
}

#[test]
fn a_job_is_followed_by_those_that_its_handler_declared() {
    let (report, jobs) = run(declares, Way::Sent, "m1");
    assert_eq!((report.ending, report.next), (Ending::Done, None));
    let types: Vec<_> = jobs.iter().map(|job| (&*job.job_type, job.schema_version, &*job.payload)).collect();
    assert_eq!(types, [("step", 2, r#"{"n":2}"#), ("other", 1, "{}"), ("step", 2, r#"{"n":1}"#)]);
    assert!(jobs.iter().all(|job| job.correlation_id == "c"));
    assert_eq!(jobs[0].idempotency_key.as_deref(), Some("step:2"));
    assert_eq!((jobs[2].idempotency_key.as_deref(), jobs[2].delay), (None, Duration::ZERO));
    let NextJob { delay, group, queue, .. } = &jobs[1];
    assert_eq!((delay.as_secs(), group.as_deref(), queue.as_deref()), (9, Some("g"), Some("mail")));
}

#[test]
fn every_attempt_and_every_replay_names_the_same_ids() {
    let ids = |message_id| -> Vec<_> {
        run(declares, Way::Sent, message_id).1.into_iter().map(|job| job.id).collect()
    };
    let first = ids("m1");
    assert_eq!(first, ids("m1"));
    assert_eq!(first, ids("m2"), "a replay is another message of the same job");
    assert_eq!(first.iter().collect::<HashSet<_>>().len(), 3);
}

/// The payloads by the ids of the jobs that follow.
fn by_id(handler: fn(Context) -> Result<(), Failure>, message_id: &str) -> BTreeMap<String, String> {
    run(handler, Way::Sent, message_id).1.into_iter().map(|job| (job.id, job.payload)).collect()
}

fn items(ctx: &Context, items: [&str; 2]) -> Result<(), Failure> {
    items.into_iter().try_for_each(|item| {
        let options = NextOptions::new().key(item).group(item);
        ctx.then_with(&Other {}, options)
    })
}

#[test]
fn jobs_with_keys_have_the_same_ids_in_another_order() {
    // With `Job::idempotency_key`; the first job of the second attempt is new.
    let first = by_id(|ctx| [2, 3].into_iter().try_for_each(|n| ctx.then(&Step { n })), "m1");
    let second = by_id(|ctx| [4, 3, 2].into_iter().try_for_each(|n| ctx.then(&Step { n })), "m1");
    assert_eq!((first.len(), second.len()), (2, 3));
    assert!(first.iter().all(|(id, payload)| second.get(id) == Some(payload)), "{first:?} {second:?}");

    // With an option, beside one without a key.
    let groups = |handler| -> BTreeMap<String, Option<String>> {
        run(handler, Way::Sent, "m1").1.into_iter().map(|job| (job.id, job.group)).collect()
    };
    let first = groups(|ctx| items(&ctx, ["a", "b"]).and_then(|()| ctx.then(&Other {})));
    let second = groups(|ctx| ctx.then(&Other {}).and_then(|()| items(&ctx, ["b", "a"])));
    assert_eq!((first.len(), &first), (3, &second));
}

#[test]
fn a_try_that_failed_declares_nothing() {
    let router = Router::new().handle(|ctx: Context, _: Step| async move {
        ctx.then(&Other {})?;
        let mut tries = 0;
        let policy: RetryPolicy = "schedule(1s,1s)".parse()?;
        let step = || {
            tries += 1;
            let result = ctx.then(&Step { n: 1 });
            std::future::ready(if tries < 3 { Err(Failure::retry("again")) } else { result })
        };
        ctx.retry(&policy, step).await?;
        // A next job that fails permanently does not end this handler.
        let failing =
            || std::future::ready(ctx.then(&Step { n: 2 }).and(Err::<(), _>(Failure::reject("never"))));
        assert!(ctx.retry(&policy, failing).await.is_err());
        Ok::<(), Failure>(())
    });
    let host = Arc::new(Host { way: Way::Sent, given: Mutex::default() });
    let attempt = attempt(Arc::clone(&host) as _, "m1", &RunControl::new());
    let report = router.run(attempt).now_or_never().expect("nothing to wait for");
    assert_eq!(report.ending, Ending::Done);
    let ids: Vec<_> = host.given.lock().unwrap().iter().map(|job| job.id.clone()).collect();
    let once = run(|ctx| ctx.then(&Other {}).and_then(|()| ctx.then(&Step { n: 1 })), Way::Sent, "m1").1;
    assert_eq!(ids, once.into_iter().map(|job| job.id).collect::<Vec<_>>());
}

#[test]
fn nothing_follows_without_success() {
    let table: [fn(Context) -> Result<(), Failure>; 3] = [
        |ctx| declares(ctx).and_then(|()| Err(Failure::retry("again"))),
        |ctx| declares(ctx).and_then(|()| Err(Failure::reject("never"))),
        |ctx| declares(ctx).map(|()| panic!("on purpose")),
    ];
    for handler in table {
        let (report, jobs) = run(handler, Way::WithMark, "m1");
        assert_eq!((jobs.len(), report.next), (0, None), "{:?}", report.ending);
    }
}

#[test]
fn a_job_ends_by_what_becomes_of_those_that_follow() {
    let with_mark = run(declares, Way::WithMark, "m1").0;
    assert_eq!((with_mark.ending, with_mark.next.map(|next| next.0.len())), (Ending::Done, Some(3)));
    let ending = |way| run(declares, way, "m1").0.ending;
    let retry = "the job is done, but the next ones were not sent: no route".to_owned();
    assert_eq!(ending(Way::Retry), Ending::RetryAsked { after: None, reason: retry });
    let refused = "the job is done, but a next one is refused: a secret".to_owned();
    assert_eq!(ending(Way::Permanent), Ending::Rejected { reason: refused });
    assert_eq!(ending(Way::Panics), Ending::Panicked { reason: "in the host".to_owned() });
}

#[test]
fn a_run_out_of_time_does_not_wait_for_its_next_jobs() {
    let host = Arc::new(Host { way: Way::Hangs, given: Mutex::default() });
    let control = RunControl::new();
    let router = Router::new().handle(|ctx: Context, _: Step| async move { declares(ctx) });
    let mut running = Box::pin(router.run(attempt(host, "m1", &control)));
    assert!(running.as_mut().now_or_never().is_none());
    control.cancel(CancelReason::Shutdown);
    assert!(running.as_mut().now_or_never().is_none(), "it has a moment left");
    control.abort();
    let report = running.now_or_never().expect("aborted");
    assert!(matches!(report.ending, Ending::RetryAsked { .. }), "{report:?}");
}

#[test]
fn a_job_without_any_asks_its_host_for_nothing() {
    let (report, jobs) = run(|_| Ok(()), Way::Panics, "m1");
    assert_eq!((report.ending, jobs), (Ending::Done, vec![]));
}

#[test]
fn what_cannot_follow_is_refused_where_it_is_declared() {
    let (report, _) = run(|ctx| (0..=MAX_NEXT_JOBS).try_for_each(|_| ctx.then(&Other {})), Way::Sent, "m1");
    let Ending::Rejected { reason } = report.ending else { panic!("{:?}", report.ending) };
    assert!(reason.starts_with("more than 100 jobs follow on this one"), "{reason}");
    let same_key = |ctx: Context| {
        [2, 3].into_iter().try_for_each(|n| ctx.then_with(&Step { n }, NextOptions::new().key("k")))
    };
    let reason = "two next jobs step have one key and different payloads".to_owned();
    assert_eq!(run(same_key, Way::Sent, "m1").0.ending, Ending::Rejected { reason });
    let (_, jobs) = run(|ctx| (0..2).try_for_each(|_| ctx.then(&Step { n: 2 })), Way::Sent, "m1");
    assert_eq!(jobs.len(), 1, "the same job twice is one");
    let (report, _) = run(|ctx| ctx.then(&Odd { _needed: 1 }), Way::Sent, "m1");
    let Ending::Rejected { reason } = report.ending else { panic!("{:?}", report.ending) };
    assert!(
        reason.starts_with("the next job odd could not be read by its handler: missing field"),
        "{reason}"
    );
}
