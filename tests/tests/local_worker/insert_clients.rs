//! Insert clients in Python and TypeScript: generated from a contract, checked by the languages' own type checkers, and used by
//! real programs with AWS's SDKs. Both languages must behave the same.

mod language;
mod refusals;
mod vectors;

use std::collections::BTreeSet;
use std::time::Instant;

use drumline::message::{Envelope, Message};
use drumline_jobs::samples;
use drumline_queue::MessageState;
use drumline_tests::{Fault, Launch, LocalQueue, Proxy, Setup, eventually};
use serde_json::{Value, json};

use language::{Language, Programs};

const SEND: &str = "SendMessageBatch";

/// Tests that each language has to pass.
macro_rules! in_each_language {
    ($($test:ident)*) => {
        mod python {
            $(#[tokio::test] async fn $test() {
                if let Some(programs) = super::Language::Python.programs().await { super::$test(programs).await; }
            })*
        }
        mod typescript {
            $(#[tokio::test] async fn $test() {
                if let Some(programs) = super::Language::TypeScript.programs().await { super::$test(programs).await; }
            })*
        }
    };
}

in_each_language! {
    typed_jobs_arrive_as_they_were_written
    a_job_is_run_by_the_handler_of_its_type
    entries_that_fail_are_sent_once_by_retries
    a_partial_failures_entries_can_be_sent_again
    an_error_that_stays_ends_the_call_and_names_all_jobs
    errors_that_pass_are_retried
    a_lost_answer_makes_no_second_message_on_a_fifo_queue
    a_job_that_no_answer_mentions_is_in_doubt
    batches_hold_no_more_bytes_than_sqs_takes
    a_finding_warns_once_and_is_an_error_if_denied
    what_cannot_be_sent_is_refused_before_anything_is_sent
    the_vectors_hold
    what_is_made_by_chance_is_found_as_by_the_producer
}

/// A queue behind a proxy that makes it fail.
struct Setting {
    queue: LocalQueue,
    proxy: Proxy,
}

impl Setting {
    async fn new(fifo: bool) -> Self {
        let queue = LocalQueue::create(Setup { fifo, ..Setup::default() }).await;
        let proxy = Proxy::start(&queue.endpoint_url()).await;
        Self { queue, proxy }
    }

    /// Returns the queue's URL behind the proxy: an SDK may send to the host in the URL.
    fn queue_url(&self) -> String {
        self.queue.url.replace(&self.queue.endpoint_url(), &self.proxy.url())
    }

    /// Makes a program send these entries.
    async fn send(&self, programs: &Programs, entries: Vec<Value>, more: Value) -> Value {
        let mut asked = json!({
            "client": "orders", "does": "send", "endpoint": self.proxy.url(), "queueUrl": self.queue_url(), "entries": entries,
        });
        for (name, value) in more.as_object().unwrap() {
            asked[name] = value.clone();
        }
        programs.drive(&asked).await
    }

    /// Returns the jobs in the queue.
    fn envelopes(&self) -> Vec<Envelope> {
        let messages = self.queue.endpoint().peek(&self.queue.url).unwrap();
        let decode =
            |body: &str| Envelope::decode(&Message { body: body.to_owned(), ..Message::default() }).unwrap();
        messages.iter().map(|message| decode(&message.body)).collect()
    }

    /// Returns the IDs of the jobs in the queue.
    fn job_ids(&self) -> Vec<String> {
        let mut ids: Vec<String> =
            self.envelopes().iter().filter_map(|one| one.job_id.as_deref()).map(str::to_owned).collect();
        ids.sort();
        ids
    }

    /// Returns the number of entries of each request.
    fn batches(&self) -> Vec<usize> {
        self.proxy
            .requests(SEND)
            .iter()
            .map(|(_, request)| request["Entries"].as_array().unwrap().len())
            .collect()
    }
}

fn note(text: impl Into<Value>) -> Value {
    json!({ "job": { "type": "note", "payload": text.into() } })
}

fn notes(count: usize) -> Vec<Value> {
    (0..count).map(note).collect()
}

/// Returns the values of one field.
fn all<'a>(list: &'a Value, field: &str) -> Vec<&'a Value> {
    list.as_array().unwrap_or_else(|| panic!("{list}")).iter().map(|one| &one[field]).collect()
}

fn ids(list: &Value) -> Vec<String> {
    let mut ids: Vec<String> =
        all(list, "job_id").into_iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

async fn typed_jobs_arrive_as_they_were_written(programs: &Programs) {
    let setting = Setting::new(false).await;
    let printed = programs.typed(&setting.queue.endpoint_url(), &setting.queue.url).await;
    let messages = setting.queue.endpoint().peek(&setting.queue.url).unwrap();
    let envelopes = setting.envelopes();
    let ids: Vec<_> = envelopes.iter().map(|one| json!(one.job_id.as_deref())).collect();
    assert_eq!(json!(ids), printed);
    assert!(ids.iter().all(|id| id.as_str().is_some_and(|id| id.len() == 26)), "ULIDs: {ids:?}");

    let order = &envelopes[0];
    assert_eq!((order.job_type.as_str(), order.version), ("order.place", 2));
    assert_eq!(
        (order.idempotency_key.as_deref(), order.correlation_id.as_deref()),
        (Some("order:7"), Some("request-1"))
    );
    let created: jiff::Timestamp = order.created_at.as_deref().unwrap().parse().unwrap();
    assert!(jiff::Timestamp::now().duration_since(created).as_secs().abs() < 60);
    let payload: Value = serde_json::from_str(order.payload.get()).unwrap();
    assert_eq!(payload["orderId"], json!(u64::MAX), "no digit is lost");
    assert_eq!(
        payload["lines"],
        json!([{ "sku": "drum", "count": 2, "options": ["maple"] }, { "sku": "stick", "count": 4 }])
    );
    assert_eq!(
        (&payload["note"], &payload["__proto__"], &payload[""]),
        (&Value::Null, &json!("a field like others"), &json!("so is this one"))
    );
    assert_eq!(messages[0].attributes.len(), 1);

    assert_eq!((envelopes[1].version, envelopes[1].payload.get()), (1, r#"{"order":"7"}"#));
    assert_eq!((envelopes[2].job_type.as_str(), envelopes[2].payload.get()), ("note", "\"free\""));
    assert!(matches!(messages[2].state, MessageState::Delayed { .. } | MessageState::Visible));
}

async fn a_job_is_run_by_the_handler_of_its_type(programs: &Programs) {
    let setting = Setting::new(false).await;
    let launch = Launch::on(&setting.queue);
    let folder = launch.home().canonicalize().unwrap();
    samples::prepare(&folder).unwrap();
    let under = |name: &str| folder.join(name).display().to_string();
    let launch =
        launch.env("DRUMLINE_FILE_ROOT", &under("data")).env("DRUMLINE_MAIL_OUTBOX", &under("outbox"));
    let worker = launch.env("DRUMLINE_MAIL_TEMPLATES", &under("mail-templates")).spawn();
    let mail = json!({ "deliveryId": "d-1", "templateId": "welcome", "userId": "ada" });
    let entry = json!({ "job": { "type": "email.send", "payload": mail } });
    let outcome = setting.send(programs, vec![entry], json!({ "client": "samples" })).await;
    assert_eq!(all(&outcome["receipts"], "position"), [0]);
    let mail = folder.join("outbox/d-1.eml");
    eventually("the mail is written", async || mail.exists() && setting.queue.count() == 0).await;
    worker.stop().await;
}

async fn entries_that_fail_are_sent_once_by_retries(programs: &Programs) {
    let setting = Setting::new(false).await;
    setting.proxy.fail_always(SEND, Fault::EverySecondEntryFails);
    let outcome = setting.send(programs, notes(25), json!({})).await;
    assert_eq!(all(&outcome["receipts"], "position"), (0..25).collect::<Vec<_>>());
    let sent = setting.job_ids();
    assert_eq!(sent, ids(&outcome["receipts"]));
    assert_eq!(sent.iter().collect::<BTreeSet<_>>().len(), 25, "each is in the queue once");
    assert_eq!(setting.batches(), [10, 5, 2, 1, 10, 5, 2, 1, 5, 2, 1]);
}

async fn a_partial_failures_entries_can_be_sent_again(programs: &Programs) {
    let setting = Setting::new(false).await;
    setting.proxy.pass(SEND, 1);
    setting.proxy.fail(SEND, Fault::EntriesRefused, 1);
    let outcome = setting.send(programs, notes(25), json!({ "rounds": 2 })).await;
    assert_eq!(all(&outcome["sent"], "position"), (0..10).chain(20..25).collect::<Vec<_>>());
    assert_eq!(all(&outcome["failed"], "position"), (10..20).collect::<Vec<_>>());
    let first = &outcome["failed"][0];
    let expected = json!({
        "position": 10, "job_id": first["job_id"], "code": "InternalError", "message": "made to fail", "sender_fault": true, "in_doubt": false,
    });
    assert_eq!(first, &expected);
    assert_eq!(
        outcome["text"],
        "10 of 25 jobs were not sent; the first is job 10 (note): InternalError: made to fail"
    );
    assert_eq!(ids(&outcome["receipts"]), ids(&outcome["failed"]), "a second call sends the same jobs");
    assert_eq!(setting.job_ids().len(), 25);
    assert_eq!(setting.batches(), [10, 10, 5, 10]);
}

async fn an_error_that_stays_ends_the_call_and_names_all_jobs(programs: &Programs) {
    let setting = Setting::new(false).await;
    setting.proxy.fail_always(SEND, Fault::Denied);
    let outcome = setting.send(programs, notes(12), json!({})).await;
    assert_eq!((all(&outcome["sent"], "position").len(), all(&outcome["failed"], "position").len()), (0, 12));
    assert_eq!(outcome["failed"][0]["code"], "AccessDeniedException");
    assert_eq!(outcome["failed"][11]["code"], "NotTried");
    assert_eq!(outcome["failed"][11]["message"], "not tried after AccessDeniedException");
    assert_eq!(setting.batches(), [10], "no permission comes by trying again");
}

async fn errors_that_pass_are_retried(programs: &Programs) {
    let setting = Setting::new(false).await;
    for fault in [Fault::Throttled, Fault::Internal, Fault::Dropped, Fault::EntriesFail] {
        setting.proxy.fail(SEND, fault, 1);
    }
    let outcome = setting.send(programs, notes(3), json!({})).await;
    assert_eq!(all(&outcome["receipts"], "position"), [0, 1, 2]);
    assert_eq!((setting.batches(), setting.job_ids().len()), (vec![3; 5], 3));

    let begun = Instant::now();
    setting.proxy.fail_always(SEND, Fault::Throttled);
    let outcome = setting.send(programs, notes(1), json!({})).await;
    assert_eq!(
        (&outcome["failed"][0]["code"], &outcome["failed"][0]["in_doubt"]),
        (&json!("RequestThrottled"), &json!(false))
    );
    assert_eq!(setting.batches().len(), 5 + 8, "after {:?}", begun.elapsed());
}

async fn a_lost_answer_makes_no_second_message_on_a_fifo_queue(programs: &Programs) {
    let setting = Setting::new(true).await;
    setting.proxy.fail(SEND, Fault::AnswerLost, 1);
    let grouped = |number: usize| json!({ "job": { "type": "note", "payload": number }, "group": format!("g-{}", number % 2) });
    let outcome = setting.send(programs, (0..4).map(grouped).collect(), json!({})).await;
    let numbers = all(&outcome["receipts"], "sequence_number");
    assert!(numbers.iter().all(|number| number.is_string()), "{numbers:?}");
    let order: Vec<_> = setting.envelopes().iter().map(|one| one.payload.get().to_owned()).collect();
    assert_eq!(order, ["0", "1", "2", "3"]);
    let requests = setting.proxy.requests(SEND);
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].1["Entries"][0]["MessageDeduplicationId"], outcome["receipts"][0]["job_id"]);

    setting.proxy.fail_always(SEND, Fault::AnswerLost);
    let outcome = setting.send(programs, vec![grouped(5)], json!({})).await;
    assert_eq!(outcome["failed"][0]["in_doubt"], true);
    assert_eq!(setting.envelopes().len(), 5, "it is in the queue, although no answer said so");
}

async fn a_job_that_no_answer_mentions_is_in_doubt(programs: &Programs) {
    let setting = Setting::new(false).await;
    setting.proxy.fail_always(SEND, Fault::EntriesOmitted);
    let outcome = setting.send(programs, notes(1), json!({})).await;
    let first = &outcome["failed"][0];
    assert_eq!((&first["code"], &first["in_doubt"]), (&json!("NotMentioned"), &json!(true)));
    assert_eq!(setting.batches().len(), 8);
}

async fn batches_hold_no_more_bytes_than_sqs_takes(programs: &Programs) {
    let setting = Setting::new(false).await;
    let long = |bytes: usize| note("ü".repeat(bytes / 2));
    let mut with_bytes = long(500_000);
    with_bytes["attributes"] = json!({ "sum": { "$bytes": vec![7; 60_000] }, "size": 60_000 });
    let outcome = setting
        .send(programs, vec![long(500_000), long(500_000), with_bytes, long(490_000), note(1)], json!({}))
        .await;
    assert_eq!(all(&outcome["receipts"], "position").len(), 5, "{outcome:.500}");
    assert_eq!(setting.batches(), [2, 1, 2]);
    assert_eq!(setting.queue.count(), 5);
}

async fn a_finding_warns_once_and_is_an_error_if_denied(programs: &Programs) {
    let setting = Setting::new(false).await;
    let entries = || {
        vec![
            note(json!({ "to": ["ada@example.com", "bob@example.com"] })),
            note(json!({ "to": ["cy@example.com"], "apiKey": "hunter2" })),
            note(json!({ "allowed": "dee@example.com" })),
        ]
    };
    let allow = json!(["note:/allowed=personal_data"]);
    let outcome = setting.send(programs, entries(), json!({ "allow": allow })).await;
    let warnings: Vec<&str> =
        outcome["warnings"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].starts_with("note: payload.to[0] has an e-mail address, "), "{warnings:?}");
    assert!(
        warnings[0].contains(&format!("{}\"note:/to/*\"]", programs.language.allowing())),
        "{warnings:?}"
    );
    assert!(warnings[1].starts_with("note: payload.apiKey is named like a secret, "), "{warnings:?}");

    let outcome = setting.send(programs, entries(), json!({ "allow": allow, "deny": true })).await;
    assert_eq!(all(&outcome["invalid"], "pointer"), ["/apiKey"]);
    assert_eq!(
        (all(&outcome["invalid"], "position"), all(&outcome["invalid"], "kind")),
        (vec![&json!(1)], vec![&json!("secret_name")])
    );
    assert_eq!(setting.job_ids().len(), 3, "of the first call");
}

async fn what_cannot_be_sent_is_refused_before_anything_is_sent(programs: &Programs) {
    refusals::hold(programs).await;
}

async fn the_vectors_hold(programs: &Programs) {
    vectors::agree(programs).await;
}

async fn what_is_made_by_chance_is_found_as_by_the_producer(programs: &Programs) {
    vectors::agree_by_chance(programs).await;
}
