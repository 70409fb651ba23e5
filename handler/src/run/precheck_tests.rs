#![allow(clippy::unwrap_used)]
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use serde_json::{Value, json};

use super::*;
use crate::api::context::Context;
use crate::api::job::{Job, Upcaster};
use crate::api::router::{HandlerService, Router};
use crate::api::run_environment::RunEnvironment;
use crate::core::claim::MAX_KEY_BYTES;
use crate::core::control::RunControl;
use crate::core::ending::Ending;
use crate::core::ids::DeliveryId;
use crate::message::intake::RequiredFields;
use crate::message::job_id_attribute::JOB_ID_ATTRIBUTE;
use crate::run::attempt::Attempt;

struct Alone;

impl RunEnvironment for Alone {
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }
}

#[derive(serde::Deserialize)]
struct Order {
    number: u64,
}

impl Job for Order {
    const TYPE: &'static str = "order";
    const VERSION: u32 = 2;
    const UPCASTERS: &'static [Upcaster] =
        &[Upcaster { from: 1, up: |old| old.get("n").map(|n| json!({ "number": n })).ok_or("no n".into()) }];

    fn idempotency_key(&self) -> Option<String> {
        assert_ne!(self.number, 13, "unlucky");
        (self.number > 100).then(|| "x".repeat(MAX_KEY_BYTES + 1))
    }
}

/// A router, and the number of times that its handler or its layer ran.
fn router() -> (Router, Arc<AtomicUsize>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let (in_handler, in_layer) = (Arc::clone(&runs), Arc::clone(&runs));
    let handler = move |_: Context, order: Order| {
        in_handler.fetch_add(1, Ordering::SeqCst);
        async move {
            let _ = order.number;
            Ok(())
        }
    };
    let layer = tower_layer::layer_fn(move |service: HandlerService| {
        let runs = Arc::clone(&in_layer);
        Counting { service, runs }
    });
    (Router::new().handle(handler).layer(layer), runs)
}

#[derive(Clone)]
struct Counting {
    service: HandlerService,
    runs: Arc<AtomicUsize>,
}

impl tower_service::Service<crate::api::router::Invocation> for Counting {
    type Response = ();
    type Error = crate::api::failure::Failure;
    type Future = crate::api::handler::HandlerFuture;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, invocation: crate::api::router::Invocation) -> Self::Future {
        self.runs.fetch_add(1, Ordering::SeqCst);
        self.service.call(invocation)
    }
}

#[allow(clippy::disallowed_methods, reason = "a test's own clock")]
fn run(router: &Router, message: Message, intake: &Intake) -> Ending {
    let deadline = Instant::now() + Duration::from_secs(60);
    let attempt = Attempt {
        delivery: DeliveryId(1),
        queue: "jobs".into(),
        intake: Arc::new(intake.clone()),
        message: Arc::new(message),
        number: NonZeroU32::MIN,
        started_at: Instant::now(),
        deadline,
        latest_deadline: deadline,
        claim_length: Duration::from_secs(27),
        permit: None,
        arrival: None,
        control: RunControl::new(),
        host: Arc::new(Alone),
    };
    router.run(attempt).now_or_never().unwrap().ending
}

fn order(payload: &Value) -> String {
    json!({ "type": "order", "schemaVersion": 2, "payload": payload }).to_string()
}

fn message(body: String) -> Message {
    Message { id: "m-1".into(), body, ..Message::default() }
}

#[test]
fn the_check_says_what_a_run_says() {
    let cloud = json!({ "specversion": "1.0", "type": "order", "id": "1", "source": "x".repeat(1_100), "data": { "n": 1 } });
    let table = [
        (order(&json!({ "number": 7 })), None),
        (json!({ "type": "order", "payload": { "n": 7 } }).to_string(), None),
        (json!({ "type": "order", "payload": {} }).to_string(), Some("order version 1 -> 2: no n")),
        (order(&json!({ "number": "7" })), Some("the payload does not fit order: invalid type: string")),
        (order(&json!([])), Some("the payload does not fit order: invalid type: sequence")),
        (order(&json!({ "number": 13 })), Some("unlucky")),
        (order(&json!({ "number": 101 })), Some("the idempotency key has more than 1024 bytes")),
        (cloud.to_string(), Some("the source has more than 1024 bytes")),
        ("nonsense".to_owned(), Some("the body is not a JSON object")),
        (json!({ "type": "order" }).to_string(), Some("the envelope has a `type` but no `payload`")),
        (json!({ "type": "order", "jobId": [7], "payload": {} }).to_string(), Some("jobId")),
    ];
    let (router, runs) = router();
    for (body, expected) in table {
        let check = router.precheck(&message(body.clone()), &Intake::new("arn"));
        assert_eq!(runs.swap(0, Ordering::SeqCst), 0, "nothing runs: {body}");
        let ending = run(&router, message(body.clone()), &Intake::new("arn"));
        match (check, expected) {
            (Precheck::Accepted, None) => assert_eq!(ending, Ending::Done, "{body}"),
            (Precheck::Refused(reason), Some(part)) => {
                assert!(reason.contains(part), "{body}: {reason}");
                let said = ending.reason().unwrap();
                assert!(reason.ends_with(said), "{body}: {reason}, a run: {said}");
            }
            (check, _) => panic!("{body}: {check:?}"),
        }
        runs.store(0, Ordering::SeqCst);
    }
}

#[test]
fn fields_that_a_queue_requires_are_looked_for() {
    let mut intake = Intake::new("arn");
    intake.require = RequiredFields { job_id: true, ..RequiredFields::default() };
    let (router, _) = router();
    let mut message = message(order(&json!({ "number": 7 })));
    let Precheck::Refused(reason) = router.precheck(&message, &intake) else { panic!() };
    assert!(reason.contains("the message has no `jobId`"), "{reason}");
    message.attributes.insert(JOB_ID_ATTRIBUTE.to_owned(), "m-0".into());
    assert_eq!(router.precheck(&message, &intake), Precheck::Accepted);
}

#[test]
fn what_the_router_cannot_know_is_not_checked() {
    let (router, _) = router();
    let check =
        |router: &Router, body: Value| router.precheck(&message(body.to_string()), &Intake::new("arn"));
    let table = [
        (json!({ "type": "mail", "payload": {} }), "no handler for type \"mail\""),
        (json!({ "type": "order", "schemaVersion": 3, "payload": {} }), "order version 3 is newer than 2"),
    ];
    for (body, expected) in table {
        let Precheck::NotChecked(reason) = check(&router, body) else { panic!("{expected}") };
        assert!(reason.starts_with(expected), "{reason}");
    }
    let forwarding = Router::passthrough(|_| async { Ok(()) });
    assert!(matches!(check(&forwarding, json!("anything")), Precheck::NotChecked(_)));
    let test = json!({ "Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b" });
    assert_eq!(check(&router, test), Precheck::Accepted);
}
