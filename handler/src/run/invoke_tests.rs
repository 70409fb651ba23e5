#![allow(clippy::unwrap_used)]
use super::*;
use crate::core::control::{CancelReason, RunControl};
use crate::core::ids::DeliveryId;
use crate::core::maybe_ready::MaybeReady;
use crate::message::intake::Intake;
use crate::run::{OpenError, RunEnvironment};
use crate::{Job, Upcaster};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tower_service::Service as _;

#[derive(serde::Deserialize)]
struct Greet {
    name: String,
}

impl Job for Greet {
    const TYPE: &'static str = "greet";
    const VERSION: u32 = 2;
    const UPCASTERS: &'static [Upcaster] = &[Upcaster { from: 1, up: |_| panic!("a bad step") }];
}

/// Runs blocking work when the test decides.
#[derive(Default)]
struct Shelf(Mutex<Vec<Box<dyn FnOnce() + Send>>>);

impl RunEnvironment for Shelf {
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        self.0.lock().unwrap().push(work);
    }
}

impl Shelf {
    fn work(&self) {
        for work in std::mem::take(&mut *self.0.lock().unwrap()) {
            work();
        }
    }
}

struct Running {
    future: BoxFuture<'static, RunReport>,
    control: RunControl,
    shelf: Arc<Shelf>,
}

#[allow(clippy::disallowed_methods)]
fn attempt(body: &str) -> Attempt {
    let now = Instant::now();
    Attempt {
        delivery: DeliveryId(1),
        queue: "eu-west-1/jobs".into(),
        intake: Arc::new(Intake::new("arn:jobs")),
        message: Arc::new(Message { id: "m1".into(), body: body.into(), ..Message::default() }),
        number: NonZeroU32::MIN,
        started_at: now,
        deadline: now + Duration::from_secs(60),
        latest_deadline: now + Duration::from_secs(120),
        claim_length: Duration::from_secs(27),
        permit: None,
        arrival: None,
        control: RunControl::new(),
        host: Arc::new(Shelf::default()),
    }
}

fn start(router: Router, body: &str) -> Running {
    let shelf = Arc::new(Shelf::default());
    let attempt = Attempt { host: Arc::clone(&shelf) as Arc<dyn RunEnvironment>, ..attempt(body) };
    let control = attempt.control.clone();
    Running { future: async move { router.run(attempt).await }.boxed(), control, shelf }
}

fn ending(router: Router, body: &str) -> Ending {
    start(router, body).future.now_or_never().expect("nothing to wait for").ending
}

fn greet() -> String {
    json!({ "type": "greet", "schemaVersion": 2, "jobId": "j", "payload": { "name": "Ann" } }).to_string()
}

#[test]
fn a_handler_is_found_and_told_all() {
    let router = Router::new().handle(|ctx: Context, job: Greet| async move {
        assert_eq!((ctx.job_id(), ctx.idempotency_key(), ctx.queue()), ("j", "j", "jobs"));
        assert_eq!(job.name, "Ann");
        Ok(())
    });
    assert_eq!(ending(router, &greet()), Ending::Done);
}

#[test]
fn every_word_of_a_handler_is_an_ending() {
    type Case = (fn() -> Result<(), Failure>, Ending);
    let why = || "why".to_owned();
    let table: [Case; 5] = [
        (|| Err(Failure::retry("why")), Ending::RetryAsked { after: None, reason: why() }),
        (
            || Err(Failure::retry_after(Duration::from_secs(9), "why")),
            Ending::RetryAsked { after: Some(Duration::from_secs(9)), reason: why() },
        ),
        (|| Err(Failure::reject("why")), Ending::Rejected { reason: why() }),
        (|| panic!("why"), Ending::Panicked { reason: why() }),
        (|| panic!("{}", String::from("why")), Ending::Panicked { reason: why() }),
    ];
    for (handler, expected) in table {
        let router = Router::new().handle(move |_, _: Greet| async move { handler() });
        assert_eq!(ending(router, &greet()), expected);
    }
}

#[test]
fn bad_input_is_an_ending() {
    let router = || Router::new().handle(|_, _: Greet| async { Ok(()) });
    assert!(matches!(ending(router(), "nonsense"), Ending::InvalidPayload { .. }));
    assert!(matches!(
        ending(router(), r#"{"type":"greet","schemaVersion":2,"payload":{}}"#),
        Ending::InvalidPayload { .. }
    ));
    assert!(matches!(
        ending(router(), r#"{"type":"greet","schemaVersion":0,"payload":{}}"#),
        Ending::InvalidPayload { .. }
    ));
    assert!(matches!(ending(router(), r#"{"type":"greet","payload":{}}"#), Ending::Panicked { .. }));
    for body in [r#"{"type":"leave","payload":{}}"#, r#"{"type":"greet","schemaVersion":3,"payload":{}}"#] {
        let Ending::NoHandler { reason } = ending(router(), body) else { panic!("{body}") };
        assert!(reason.contains("greet"), "{reason}");
    }
    assert_eq!(
        ending(router(), r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}"#),
        Ending::Done
    );
}

#[test]
fn an_undecoded_router_takes_whatever_comes() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&seen);
    let router = Router::passthrough(move |ctx: Context| {
        taken.lock().unwrap().push((ctx.job_type().to_owned(), ctx.message().body.clone()));
        async { Ok(()) }
    });
    for body in [greet().as_str(), "\u{0}nonsense"] {
        assert_eq!(ending(router.clone(), body), Ending::Done);
        assert_eq!(seen.lock().unwrap().last().unwrap().1, body);
    }
    assert_eq!(seen.lock().unwrap()[0].0, "greet");
    assert_eq!(seen.lock().unwrap()[1].0, "raw");
}

#[test]
fn an_aborted_handler_is_dropped() {
    let router = Router::new().handle(|_, _: Greet| std::future::pending());
    let mut run = start(router, &greet());
    assert!(run.future.as_mut().now_or_never().is_none());
    run.control.cancel(CancelReason::Shutdown);
    assert!(run.future.as_mut().now_or_never().is_none(), "being asked to stop is not being stopped");
    run.control.abort();
    assert_eq!(run.future.now_or_never().unwrap().ending, Ending::Interrupted);
}

#[test]
fn a_cancelled_handler_may_stop_by_itself() {
    let router = Router::new().handle(|ctx: Context, _: Greet| async move {
        let reason = ctx.cancelled().await;
        Err(Failure::retry(format!("{reason:?}")))
    });
    let mut run = start(router, &greet());
    assert!(run.future.as_mut().now_or_never().is_none());
    run.control.cancel(CancelReason::LeaseLost);
    let ending = run.future.now_or_never().unwrap().ending;
    assert_eq!(ending, Ending::RetryAsked { after: None, reason: "LeaseLost".into() });
}

#[test]
fn blocking_work_outlives_its_abort_and_is_waited_for() {
    let done = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&done);
    let router = Router::new().handle_blocking(move |_, _: Greet| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let mut run = start(router.clone(), &greet());
    assert!(run.future.as_mut().now_or_never().is_none());
    run.shelf.work();
    assert_eq!(run.future.now_or_never().unwrap().ending, Ending::Done);

    let mut run = start(router, &greet());
    assert!(run.future.as_mut().now_or_never().is_none());
    run.control.abort();
    assert!(run.future.as_mut().now_or_never().is_none(), "the thread still works");
    run.shelf.work();
    assert_eq!(run.future.now_or_never().unwrap().ending, Ending::Interrupted);
    assert_eq!(done.load(Ordering::SeqCst), 2);
}

#[test]
fn a_handler_and_its_blocking_work_have_a_current_attempt() {
    let seen = || Context::current().map(|context| context.message().id.to_string());
    let router = Router::new().handle(move |ctx: Context, _: Greet| async move {
        let first = seen();
        let second = ctx.blocking(move || Ok(seen())).await?;
        Err(Failure::retry(format!("{first:?} {second:?} {:?}", seen())))
    });
    let mut run = start(router, &greet());
    assert!(run.future.as_mut().now_or_never().is_none());
    assert_eq!(seen(), None, "the handler waits");
    run.shelf.work();
    let reason = "Some(\"m1\") Some(\"m1\") Some(\"m1\")".to_owned();
    assert_eq!(run.future.now_or_never().unwrap().ending, Ending::RetryAsked { after: None, reason });

    let router = Router::new().handle(async |_: Context, _: Greet| panic!("in the handler"));
    assert!(matches!(ending(router, &greet()), Ending::Panicked { .. }));
    assert_eq!(seen(), None, "also after a panic");
}

#[test]
fn a_panic_in_blocking_work_is_the_handlers() {
    let router = Router::new().handle_blocking(|_, _: Greet| panic!("in the thread"));
    let mut run = start(router, &greet());
    assert!(run.future.as_mut().now_or_never().is_none());
    run.shelf.work();
    assert_eq!(
        run.future.now_or_never().unwrap().ending,
        Ending::Panicked { reason: "in the thread".into() }
    );
}

/// A layer that passes every invocation to `call`, with the service that it wraps.
#[derive(Clone)]
struct Around<F>(F, Option<crate::run::HandlerService>);

impl<F: Clone> tower_layer::Layer<crate::run::HandlerService> for Around<F> {
    type Service = Self;
    fn layer(&self, inner: crate::run::HandlerService) -> Self {
        Self(self.0.clone(), Some(inner))
    }
}

impl<F> tower_service::Service<Invocation> for Around<F>
where
    F: Fn(crate::run::HandlerService, Invocation) -> crate::run::HandlerFuture,
{
    type Response = ();
    type Error = Failure;
    type Future = crate::run::HandlerFuture;
    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Failure>> {
        std::task::Poll::Ready(Ok(()))
    }
    fn call(&mut self, invocation: Invocation) -> crate::run::HandlerFuture {
        (self.0)(self.1.clone().unwrap(), invocation)
    }
}

#[test]
fn layers_wrap_handlers() {
    let refuse =
        |mut inner: crate::run::HandlerService, invocation: Invocation| -> crate::run::HandlerFuture {
            if invocation.payload().get().contains("Ann") {
                return Box::pin(async { Err(Failure::reject("not Ann")) });
            }
            inner.call(invocation)
        };
    let router = Router::new().handle(|_, _: Greet| async { Ok(()) }).layer(Around(refuse, None));
    assert_eq!(ending(router.clone(), &greet()), Ending::Rejected { reason: "not Ann".into() });
    assert_eq!(ending(router, &greet().replace("Ann", "Bob")), Ending::Done);
}

/// The number of times that a [`Counted`] was decoded.
static DECODED: AtomicUsize = AtomicUsize::new(0);

struct Counted(String);

impl<'de> serde::Deserialize<'de> for Counted {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DECODED.fetch_add(1, Ordering::SeqCst);
        Ok(Self(Greet::deserialize(deserializer)?.name))
    }
}

impl Job for Counted {
    const TYPE: &'static str = "counted";

    fn idempotency_key(&self) -> Option<String> {
        Some(self.0.clone())
    }
}

#[test]
fn payloads_are_decoded_once_unless_a_layer_needs_them_again() {
    let name = |ctx: &Context, job: &Counted| (ctx.idempotency_key().to_owned(), job.0.clone());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let runs = Arc::clone(&seen);
    let router = Router::new().handle(move |ctx: Context, job: Counted| {
        runs.lock().unwrap().push(name(&ctx, &job));
        async { Ok(()) }
    });
    let body =
        greet().replace("\"greet\"", "\"counted\"").replace("\"schemaVersion\":2", "\"schemaVersion\":1");
    let took = |router: Router| {
        let before = DECODED.load(Ordering::SeqCst);
        assert_eq!(ending(router, &body), Ending::Done);
        (DECODED.load(Ordering::SeqCst) - before, std::mem::take(&mut *seen.lock().unwrap()))
    };
    let run = |key: &str, name: &str| (key.to_owned(), name.to_owned());
    assert_eq!(took(router.clone()), (1, vec![run("Ann", "Ann")]));
    let twice =
        |mut inner: crate::run::HandlerService, invocation: Invocation| -> crate::run::HandlerFuture {
            let (first, second) = (inner.call(invocation.clone()), inner.call(invocation));
            Box::pin(async { first.await.and(second.await) })
        };
    assert_eq!(took(router.clone().layer(Around(twice, None))), (2, vec![run("Ann", "Ann"); 2]));
    let replace =
        |mut inner: crate::run::HandlerService, mut invocation: Invocation| -> crate::run::HandlerFuture {
            invocation.set_payload(RawValue::from_string(r#"{"name":"Bob"}"#.to_owned()).unwrap());
            inner.call(invocation)
        };
    assert_eq!(took(router.layer(Around(replace, None))), (2, vec![run("Ann", "Bob")]));
}

#[test]
fn an_observer_receives_the_error_behind_an_ending() {
    #[derive(Default)]
    struct Errors(Mutex<Vec<std::io::ErrorKind>>);
    impl crate::run::Observer for Errors {
        fn observe(&self, event: &Event<'_>) {
            let Event::RunEnded { failure: Some(failure), .. } = event else { return };
            let io = failure.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
            self.0.lock().unwrap().push(io.unwrap().kind());
        }
    }
    impl RunEnvironment for Errors {
        fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
            work();
        }
        fn observer(&self) -> &dyn crate::run::Observer {
            self
        }
    }
    let router = Router::new().handle(|_, _: Greet| async {
        let error = std::io::Error::from(std::io::ErrorKind::NotFound);
        Err(anyhow::Error::from(error).context("no template"))?;
        Ok(())
    });
    let host = Arc::new(Errors::default());
    let attempt = Attempt { host: Arc::clone(&host) as Arc<dyn RunEnvironment>, ..attempt(&greet()) };
    let ending = router.run(attempt).now_or_never().unwrap().ending;
    let reason = "no template: entity not found".to_owned();
    assert_eq!(ending, Ending::RetryAsked { after: None, reason });
    assert_eq!(*host.0.lock().unwrap(), [std::io::ErrorKind::NotFound]);
}

#[test]
fn a_host_may_know_the_timeout_of_a_type() {
    struct Timeouts(Duration);
    impl RunEnvironment for Timeouts {
        fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
            work();
        }
        fn started(
            &self,
            _: DeliveryId,
            job_type: &Arc<str>,
        ) -> crate::core::MaybeReady<'_, Option<Duration>> {
            crate::core::MaybeReady::now((**job_type == *"greet").then_some(self.0))
        }
    }
    for (timeout, expected) in [(5, 5), (90, 90), (500, 120)] {
        let attempt = Attempt { host: Arc::new(Timeouts(Duration::from_secs(timeout))), ..attempt(&greet()) };
        let deadline = attempt.started_at + Duration::from_secs(expected);
        let router = Router::new().handle(move |ctx: Context, _: Greet| async move {
            assert_eq!(ctx.deadline(), deadline);
            Ok(())
        });
        assert_eq!(router.run(attempt).now_or_never().unwrap().ending, Ending::Done);
    }
}

/// A host that opens its messages with this function, at this time.
struct Opens(fn() -> Result<Option<Message>, OpenError>, Instant);

impl RunEnvironment for Opens {
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }

    fn open(&self, _: &Arc<Message>) -> MaybeReady<'_, Result<Option<Message>, OpenError>> {
        MaybeReady::later(async { (self.0)() })
    }

    fn opened(&self, _: DeliveryId) -> MaybeReady<'_, Option<Instant>> {
        MaybeReady::now(Some(self.1))
    }
}

#[test]
fn a_panic_while_a_message_is_opened_is_an_ending() {
    struct Panics;
    impl RunEnvironment for Panics {
        fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
            work();
        }
        fn open(&self, _: &Arc<Message>) -> MaybeReady<'_, Result<Option<Message>, OpenError>> {
            panic!("a bad frame")
        }
    }
    let later = Opens(|| panic!("a bad frame"), attempt("").started_at);
    for host in [Arc::new(later) as Arc<dyn RunEnvironment>, Arc::new(Panics)] {
        let router = Router::new().handle(|_, _: Greet| async { Ok(()) });
        let report = router.run(Attempt { host, ..attempt(&greet()) }).now_or_never().unwrap();
        assert_eq!(report.ending, Ending::Panicked { reason: "a bad frame".into() });
        assert!(report.identity.is_some());
    }
}

#[test]
fn an_attempts_time_starts_once_its_message_is_opened() {
    let opened = || Ok(Some(Message { body: greet(), ..Message::default() }));
    // The attempt has 60 seconds, and ends after 120 at the latest.
    for (waited, expected) in [(0, 60), (40, 100), (90, 120)] {
        let attempt = attempt("a pointer");
        let deadline = attempt.started_at + Duration::from_secs(expected);
        let host = Arc::new(Opens(opened, attempt.started_at + Duration::from_secs(waited)));
        let router = Router::new().handle(move |ctx: Context, _: Greet| async move {
            assert_eq!(ctx.deadline(), deadline);
            Ok(())
        });
        let ending = router.run(Attempt { host, ..attempt }).now_or_never().unwrap().ending;
        assert_eq!(ending, Ending::Done, "{waited}");
    }
}

#[test]
fn a_run_inside_a_run_leaves_the_outer_one_current() {
    let seen = || Context::current().map(|context| context.message().id.to_string());
    let mut outer = attempt(&greet());
    outer.message = Arc::new(Message { id: "outer".into(), ..(*outer.message).clone() });
    let is_free = Arc::new(AtomicUsize::new(0));
    let gate = Arc::clone(&is_free);
    let inner = Router::new().handle(move |_, _: Greet| {
        let gate = Arc::clone(&gate);
        async move {
            futures_util::future::poll_fn(|_| {
                assert_eq!(seen().as_deref(), Some("m1"));
                if gate.load(Ordering::SeqCst) > 0 {
                    std::task::Poll::Ready(())
                } else {
                    std::task::Poll::Pending
                }
            })
            .await;
            Ok(())
        }
    });
    let router = Router::new().handle(move |_, _: Greet| {
        let inner = inner.clone();
        async move {
            let mut run = inner.run(attempt(&greet())).boxed();
            assert!((&mut run).now_or_never().is_none());
            assert_eq!(seen().as_deref(), Some("outer"), "between polls");
            assert_eq!(run.await.ending, Ending::Done);
            assert_eq!(seen().as_deref(), Some("outer"));
            Ok(())
        }
    });
    let mut run = router.run(outer).boxed();
    for _ in 0..2 {
        assert!((&mut run).now_or_never().is_none());
        assert_eq!(seen(), None);
    }
    is_free.store(1, Ordering::SeqCst);
    assert_eq!(run.now_or_never().unwrap().ending, Ending::Done);
}

#[test]
fn mistakes_in_a_program_are_collected() {
    #[derive(serde::Deserialize)]
    struct Impossible {}
    impl Job for Impossible {
        const TYPE: &'static str = "impossible";
        const VERSION: u32 = 0;
        const TIMEOUT: Option<Duration> = Some(Duration::ZERO);
        const MAX_ATTEMPTS: Option<u32> = Some(0);
    }
    #[derive(serde::Deserialize)]
    struct Other {}
    impl Job for Other {
        const TYPE: &'static str = "greet";
    }
    let router = Router::new()
        .handle(|_, _: Greet| async { Ok(()) })
        .handle(|_, _: Other| async { Err(Failure::reject("the other one")) })
        .handle(|_, _: Impossible| async { Ok(()) });
    let error = router.check().unwrap_err().to_string();
    let problems: Vec<&str> = error.lines().collect();
    assert!(problems[0].starts_with("job type greet: two handlers are registered"), "{error}");
    assert!(problems[0].contains("Other"), "{error}");
    let of_impossible = [
        "job type impossible: VERSION starts at 1",
        "job type impossible: TIMEOUT must be more than nothing, and at most 12h",
        "job type impossible: MAX_ATTEMPTS starts at 1",
    ];
    assert_eq!(problems[1..], of_impossible);
    assert_eq!(ending(router, &greet()), Ending::Done, "the first handler stays");
}
