use super::*;
use crate::message::job_id_attribute::{CHANGED_DATA_TYPE, JOB_ID_ATTRIBUTE};
use crate::message::sqs_message::AttributeValue;

/// A message that replays `m-1`.
fn replayed(body: &str, data_type: &str) -> Message {
    let mut message =
        Message { id: "m-2".into(), body: body.to_owned(), receive_count: 1, ..Message::default() };
    let job_id = Attribute::new(data_type, AttributeValue::Text("m-1".to_owned()));
    message.attributes.insert(JOB_ID_ATTRIBUTE.to_owned(), job_id);
    message
}

/// The claim request for a message that is handed on unchanged, or has the type `raw`.
fn handed_on(message: Message) -> ClaimRequest {
    let host = Arc::new(Asked::default());
    let router = Router::passthrough(|_| async { Ok(()) });
    let report = router.run(attempt(&host, &Intake::new(ARN), message)).now_or_never().unwrap();
    assert_eq!(report.ending, Ending::Done);
    host.requests.lock().unwrap().pop().unwrap()
}

fn requests(host: &Asked) -> Vec<(String, bool)> {
    let requests = host.requests.lock().unwrap();
    requests.iter().map(|asked| (asked.identity.key().to_string(), asked.payload_hash == 0)).collect()
}

#[test]
fn a_replay_has_the_claim_of_the_message_that_died() {
    let bodies = [
        r#"{"type":"order","payload":{}}"#,
        r#"{"type":"order","jobId":"","payload":{}}"#,
        // An S3 event has a source, but no id.
        r#"{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put",
            "s3":{"bucket":{"name":"b"},"object":{"key":"k"}}}]}"#,
        "text",
    ];
    for body in bodies {
        let died = handed_on(Message { id: "m-1".into(), body: body.to_owned(), ..Message::default() });
        let replay = handed_on(replayed(body, "String"));
        assert_eq!(replay.identity, died.identity, "{body}");
        assert_eq!((replay.payload_hash, died.payload_hash), (0, 0), "{body}");
        assert_eq!(replay.legacy_key, died.legacy_key, "{body}");
        assert_eq!((&*died.message_id, &*replay.message_id), ("m-1", "m-2"), "a budget of its own");
        let changed = handed_on(replayed(body, CHANGED_DATA_TYPE));
        assert_eq!(changed.identity, died.identity, "{body}");
        assert_ne!(changed.payload_hash, 0, "{body}");
    }
}

#[test]
fn an_id_of_the_body_wins_over_the_attribute() {
    let bodies = [
        r#"{"type":"order","jobId":"j-1","payload":{}}"#,
        r#"{"type":"order","jobId":"j-1","idempotencyKey":"k","payload":{}}"#,
        r#"{"specversion":"1.0","type":"order","id":"1","source":"/a","data":{}}"#,
        r#"{"Type":"Notification","TopicArn":"arn:t","MessageId":"n-1","Message":"text"}"#,
        r#"{"id":"e-1","source":"shop","detail-type":"order","detail":{}}"#,
    ];
    for body in bodies {
        let plain = handed_on(Message { id: "m-2".into(), body: body.to_owned(), ..Message::default() });
        for data_type in ["String", CHANGED_DATA_TYPE] {
            let replay = handed_on(replayed(body, data_type));
            assert_eq!((replay.identity, replay.payload_hash), (plain.identity.clone(), plain.payload_hash));
        }
    }
}

#[test]
fn with_an_idempotency_key_the_attribute_is_the_job_id_only() {
    let keyed = r#"{"type":"order","idempotencyKey":"k","payload":{}}"#;
    let computed = r#"{"type":"mail","payload":{"delivery":"d-1"}}"#;
    for (body, id) in [(keyed, "k"), (computed, "d-1")] {
        let claimed = |message| {
            let host = Arc::new(Asked::default());
            assert_eq!(run(&host, &Intake::new(ARN), message).ending, Ending::Done, "{body}");
            host.requests.lock().unwrap().pop().unwrap()
        };
        let died = claimed(Message { id: "m-1".into(), body: body.to_owned(), ..Message::default() });
        for data_type in ["String", CHANGED_DATA_TYPE] {
            let replay = claimed(replayed(body, data_type));
            assert_eq!(replay.identity, died.identity, "{body}");
            assert_eq!((&**replay.identity.id(), &**replay.identity.job_id()), (id, "m-1"));
            assert_eq!(replay.payload_hash, died.payload_hash, "{body}");
        }
    }
}

#[test]
fn the_attribute_is_the_job_id_that_a_queue_requires() {
    let mut intake = Intake::new(ARN);
    intake.require = RequiredFields { job_id: true, ..RequiredFields::default() };
    let body = r#"{"type":"order","payload":{}}"#;
    let ending = |message| run(&Arc::new(Asked::default()), &intake, message).ending;
    assert_eq!(ending(replayed(body, "String")), Ending::Done);
    let mut empty = replayed(body, "String");
    empty.attributes.insert(JOB_ID_ATTRIBUTE.to_owned(), Attribute::text(""));
    assert!(matches!(ending(empty), Ending::InvalidPayload { .. }));
}

#[test]
fn a_replay_that_is_not_run_keeps_its_job_too() {
    let identity =
        |body| run(&Arc::new(Asked::default()), &Intake::new(ARN), replayed(body, "String")).identity;
    assert_eq!(*identity("nonsense").unwrap(), Identity::of_message(ARN, "", None, "m-1"));
    let unknown = identity(r#"{"type":"unknown","payload":{}}"#).unwrap();
    assert_eq!(*unknown, Identity::of_message(ARN, "unknown", None, "m-1"));
}

#[test]
fn a_replayed_job_that_is_done_is_a_replay() {
    let prior = PriorRun { message_id: "m-1".to_owned(), ..PriorRun::default() };
    let cause = |message| {
        let host = Arc::new(Asked { prior: Some(prior.clone()), ..Asked::default() });
        let Ending::DoneBefore(duplicate) = run(&host, &Intake::new(ARN), message).ending else { panic!() };
        duplicate.cause
    };
    let body = r#"{"type":"order","payload":{}}"#;
    assert_eq!(cause(replayed(body, "String")), DuplicateCause::Replayed);
    let named = r#"{"type":"order","jobId":"j","payload":{}}"#;
    assert_eq!(cause(replayed(named, "String")), DuplicateCause::Duplicate, "the attribute says nothing");
}

#[test]
fn a_changed_replay_of_a_known_job_gets_the_first_answer() {
    let body = r#"{"type":"order","payload":{"number":7}}"#;
    let key = Identity::of_message(ARN, "order", None, "m-1").key().to_string();
    let both = vec![(key.clone(), false), (key.clone(), true)];
    let done = || ClaimResult::Done(Box::default());
    let busy = ClaimResult::Busy(Duration::from_secs(9));
    let table = [
        (CHANGED_DATA_TYPE, vec![ClaimResult::Mismatch, done()], "done", both.clone()),
        (CHANGED_DATA_TYPE, vec![ClaimResult::Mismatch, busy], "busy", both.clone()),
        // The job is known with a third payload.
        (CHANGED_DATA_TYPE, vec![ClaimResult::Mismatch, ClaimResult::Mismatch], "rejected", both),
        (CHANGED_DATA_TYPE, vec![done()], "done", vec![(key.clone(), false)]),
        ("String", vec![ClaimResult::Mismatch], "rejected", vec![(key, true)]),
    ];
    for (data_type, answers, expected, asked) in table {
        let answers = Mutex::new(answers.into_iter().rev().collect());
        let host = Arc::new(Asked { answers, ..Asked::default() });
        let ending = run(&host, &Intake::new(ARN), replayed(body, data_type)).ending;
        let found = match ending {
            Ending::DoneBefore(duplicate) => {
                assert_eq!(duplicate.cause, DuplicateCause::Replayed);
                "done"
            }
            Ending::Busy { .. } => "busy",
            Ending::Rejected { .. } => "rejected",
            other => panic!("{other:?}"),
        };
        assert_eq!((found, requests(&host)), (expected, asked), "{data_type}");
    }
}

#[test]
fn a_changed_replay_resumes_no_checkpoint_of_the_first_payload() {
    use crate::core::claim::Claim;
    let granted = |request: &ClaimRequest| {
        let claim = Claim {
            identity: Arc::clone(&request.identity),
            owner: "w".into(),
            fencing_token: 1,
            lock: None,
        };
        ClaimResult::Granted(Grant {
            claim: Arc::new(claim),
            attempt: NonZeroU32::MIN,
            checkpoint: RawValue::from_string("7".to_owned()).ok(),
            takeover: None,
        })
    };
    let message = || replayed("text", CHANGED_DATA_TYPE);
    let request = handed_on(message());
    // The first payload's claim ended between the two requests.
    let table = [(vec![granted(&request), ClaimResult::Mismatch], None), (vec![granted(&request)], Some(7))];
    for (answers, expected) in table {
        let host = Arc::new(Asked { answers: Mutex::new(answers), ..Asked::default() });
        let found = Arc::new(Mutex::new(None));
        let seen = Arc::clone(&found);
        let router = Router::passthrough(move |ctx: Context| {
            *seen.lock().unwrap() = ctx.resume::<u32>();
            async { Ok(()) }
        });
        let report = router.run(attempt(&host, &Intake::new(ARN), message())).now_or_never().unwrap();
        assert_eq!((report.ending, *found.lock().unwrap()), (Ending::Done, expected));
    }
}
