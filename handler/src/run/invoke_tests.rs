#![allow(clippy::unwrap_used)]
use super::*;
use crate::core::control::{CancelReason, RunControl};
use crate::core::ids::DeliveryId;
use crate::message::intake::Intake;
use crate::run::Host;
use crate::{Job, Upcaster};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[derive(serde::Deserialize)]
struct Greet {
    name: String,
}

impl Job for Greet {
    const TYPE: &'static str = "greet";
    const VERSION: u32 = 2;
    const UPCASTERS: &'static [Upcaster] = &[Upcaster { from: 1, up: |_| panic!("a bad step") }];
}

/// Runs blocking work when the test says so.
#[derive(Default)]
struct Shelf(Mutex<Vec<Box<dyn FnOnce() + Send>>>);

impl Host for Shelf {
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
    future: BoxFuture<'static, Report>,
    control: RunControl,
    shelf: Arc<Shelf>,
}

#[allow(clippy::disallowed_methods)]
fn start(router: Router, body: &str) -> Running {
    let (control, shelf) = (RunControl::new(), Arc::new(Shelf::default()));
    let attempt = Attempt {
        delivery: DeliveryId(1),
        queue: "eu-west-1/jobs".into(),
        intake: Arc::new(Intake::new("arn:jobs")),
        message: Arc::new(Message { id: "m1".into(), body: body.into(), ..Message::default() }),
        number: NonZeroU32::MIN,
        deadline: Instant::now() + Duration::from_secs(60),
        claim_length: Duration::from_secs(27),
        control: control.clone(),
        host: Arc::clone(&shelf) as Arc<dyn Host>,
    };
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
    assert!(matches!(ending(router(), "nonsense"), Ending::Undecodable { .. }));
    assert!(matches!(
        ending(router(), r#"{"type":"greet","schemaVersion":2,"payload":{}}"#),
        Ending::Undecodable { .. }
    ));
    assert!(matches!(
        ending(router(), r#"{"type":"greet","schemaVersion":0,"payload":{}}"#),
        Ending::Undecodable { .. }
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
    let router = Router::undecoded(move |ctx: Context| {
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

#[test]
fn layers_wrap_handlers() {
    #[derive(Clone)]
    struct Refuse(crate::run::HandlerService);
    impl tower_service::Service<Invocation> for Refuse {
        type Response = ();
        type Error = Failure;
        type Future = crate::run::HandlerFuture;
        fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Failure>> {
            self.0.poll_ready(cx)
        }
        fn call(&mut self, invocation: Invocation) -> crate::run::HandlerFuture {
            if invocation.payload.get().contains("Ann") {
                return Box::pin(async { Err(Failure::reject("not Ann")) });
            }
            self.0.call(invocation)
        }
    }
    struct Layer;
    impl tower_layer::Layer<crate::run::HandlerService> for Layer {
        type Service = Refuse;
        fn layer(&self, inner: crate::run::HandlerService) -> Refuse {
            Refuse(inner)
        }
    }
    let router = Router::new().handle(|_, _: Greet| async { Ok(()) }).layer(Layer);
    assert_eq!(ending(router.clone(), &greet()), Ending::Rejected { reason: "not Ann".into() });
    assert_eq!(ending(router, &greet().replace("Ann", "Bob")), Ending::Done);
}

#[test]
#[should_panic(expected = "two handlers")]
fn two_handlers_of_one_type_are_a_mistake() {
    let handler = |_, _: Greet| async { Ok(()) };
    let _ = Router::new().handle(handler).handle(handler);
}
