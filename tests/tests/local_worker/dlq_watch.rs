//! The watch over a DLQ: each new reason is reported once, in the log and to a webhook, without payloads.

use std::collections::BTreeSet;

use drumline_queue::MessageState;
use drumline_queue::api::{MessageAttributeValue, SendMessage};
use drumline_tests::{Answer, App, Launch, LocalQueue, Setup, eventually, get};
use serde_json::{Value, json};

async fn queue() -> LocalQueue {
    LocalQueue::create(Setup { max_receive_count: Some(1), ..Setup::default() }).await
}

fn job(user: usize) -> String {
    json!({ "type": "email.send", "payload": { "user": user, "iban": "DE02" } }).to_string()
}

/// The alerts that a webhook has received.
fn alerts(webhook: &App) -> Vec<Value> {
    webhook.calls().iter().map(|call| serde_json::from_str(&call.body).unwrap()).collect()
}

fn counted(alerts: &[Value]) -> u64 {
    alerts.iter().filter_map(|alert| alert["count"].as_u64()).sum()
}

#[tokio::test]
async fn a_worker_reports_a_new_reason_once() {
    let app = App::start(|call| async move {
        let user: Value = serde_json::from_str(&call.body).unwrap();
        Answer::status(422).body(&format!("no user {}", user["payload"]["user"]))
    })
    .await;
    let (queue, webhook) = (queue().await, App::always_ok().await);
    let worker = Launch::on(&queue)
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_DLQ_WATCH", "on")
        .env("DRUMLINE_DLQ_WATCH_EVERY", "1s")
        .env("DRUMLINE_DLQ_ALERT_TO", &format!("{}/s3cret", webhook.root()))
        .spawn();
    worker.until_logged("leading DLQ watch", 1).await;
    for user in 0..5 {
        queue.send(&job(user));
    }
    eventually("an alert comes", async || webhook.count() > 0).await;
    let first = alerts(&webhook).remove(0);
    assert_eq!((&first["dlq"], &first["origin"]), (&"jobs-dlq".into(), &"jobs".into()));
    assert_eq!((&first["type"], &first["class"]), (&"email.send".into(), &"rejected".into()));
    assert_eq!(
        (&first["reason"], &first["isNew"]),
        (&"422 Unprocessable Entity: no user <n>".into(), &true.into())
    );
    assert!(first["text"].as_str().unwrap().starts_with("jobs-dlq: "), "{first}");
    assert!(!first.to_string().contains("DE02"));
    eventually("all are counted", async || {
        let (_, text) = get(&worker.endpoint("/metrics")).await.unwrap();
        text.contains(r#"drumline_dlq_letters_total{queue="jobs-dlq",type="email.send",class="rejected"} 5"#)
            && text.contains(r#"drumline_dlq_alerts_total{queue="jobs-dlq",result="ok"} 1"#)
    })
    .await;
    assert_eq!(webhook.count(), 1, "the reason is known for an hour");
    let logged = worker.logged("new dead letters");
    assert_eq!((logged.len(), &logged[0]["fingerprint"]), (1, &first["fingerprint"]));
    let errors = worker.stop().await.errors();
    assert!(!errors.contains("s3cret"), "{errors}");
    let dead = queue.dead();
    assert!(
        dead.iter().all(|letter| letter.receive_count <= 2),
        "it knew the reasons without a look: {dead:?}"
    );
}

/// `drumline dlq watch --once ARGS…`
fn once(queue: &LocalQueue, args: &[&str]) -> Launch {
    let args = [&["dlq", "watch", "--once", "--output", "json"], args].concat();
    let launch = Launch::new(&args).env("DRUMLINE_QUEUE_URL", &queue.url);
    launch.env("AWS_ENDPOINT_URL", &queue.endpoint_url())
}

fn letter(user: usize, reason: &str) -> SendMessage {
    let reason = MessageAttributeValue::string(reason.to_owned());
    let message_attributes = [("DrumlineReason".to_owned(), reason)].into();
    SendMessage { message_body: job(user), message_attributes, ..SendMessage::default() }
}

#[tokio::test]
async fn the_command_reports_what_is_there_and_leaves_it_as_it_was() {
    let (queue, webhook) = (queue().await, App::always_ok().await);
    queue.bury((0..12).map(|user| letter(user, &format!("no user {user}"))));
    queue.bury([letter(1, "too late")]);
    let launch = once(&queue, &["--alert", &webhook.root(), "--template", "alert.json"]);
    std::fs::write(launch.home().join("alert.json"), r#"{"summary":"{{text}}","count":"{{count}}"}"#)
        .unwrap();
    let finished = launch.finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let lines: Vec<Value> = finished.stdout.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: BTreeSet<(u64, &str)> = lines
        .iter()
        .map(|line| (line["count"].as_u64().unwrap(), line["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(found, [(12, "no user <n>"), (1, "too late")].into());
    let sent = alerts(&webhook);
    assert_eq!((sent.len(), counted(&sent)), (2, 13));
    assert!(sent.iter().all(|alert| alert.as_object().unwrap().len() == 2 && alert["summary"].is_string()));
    let dead = queue.dead();
    assert!(dead.len() == 13 && dead.iter().all(|letter| letter.state == MessageState::Visible));
}

#[tokio::test]
async fn an_archive_has_each_letter_once_and_is_continued() {
    let queue = queue().await;
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("letters.jsonl").display().to_string();
    let mut all = Vec::new();
    for (letters, lines) in [(3, 3), (2, 5)] {
        all.extend(queue.bury((0..letters).map(|user| letter(user, "no user"))));
        let finished = once(&queue, &["--archive", &archive]).finish().await;
        assert_eq!(finished.status, Some(0), "{}", finished.errors());
        let text = std::fs::read_to_string(&archive).unwrap();
        let mut found: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((found.remove(0)["drumlineDeadLetters"].as_u64(), found.len()), (Some(1), lines));
        let ids: BTreeSet<&str> = found.iter().filter_map(|line| line["messageId"].as_str()).collect();
        assert_eq!(ids, all.iter().map(String::as_str).collect());
    }
    let dead = queue.dead();
    assert!(dead.len() == 5 && dead.iter().all(|letter| letter.state == MessageState::Visible));
}

#[tokio::test]
async fn invalid_targets_and_templates_are_refused_before_requests() {
    let queue = queue().await;
    let table = [
        (vec!["--alert", "mail:me"], "--alert must be the URL of a webhook"),
        (
            vec!["--alert", "http://127.0.0.1:9", "--template", "none.json"],
            "--template: none.json cannot be read",
        ),
        (
            vec!["--alert", "http://127.0.0.1:9", "--template", "wrong.json"],
            "{{payload}} is no field of an alert",
        ),
    ];
    for (args, expected) in table {
        let launch = once(&queue, &args);
        std::fs::write(launch.home().join("wrong.json"), r#"["{{payload}}"]"#).unwrap();
        let finished = launch.finish().await;
        assert_eq!(finished.status, Some(64), "{}", finished.errors());
        assert!(finished.errors().contains(expected), "{}", finished.errors());
    }
}
