//! The type of a job whose body does not name it, or names another one than the message does.

use drumline_tests::{App, MailServer, Setup, TestQueue, eventually};
use serde_json::json;

use crate::envelopes::{TOPIC, event, native, notification, object_created};
use crate::{forwarding, identity_of, mailing, until_settled};

/// Type, source and id of a body in a queue with these settings. `None` stands for the message's own id.
type Expected<'a> = (&'a str, &'a str, Option<&'a str>);

/// Sends each body with its `messageType` to a worker with this file of settings, and expects the identity of each run.
async fn expect_identities(file: &str, table: &[(String, Option<&str>, Expected<'_>)]) {
    let (queue, app) = (TestQueue::create("types", Setup::default()).await, App::always_ok().await);
    let launch = forwarding(&queue, &app, "memory:");
    std::fs::write(launch.home().join("types.toml"), file).unwrap();
    let worker = launch.env("DRUMLINE_CONFIG", "types.toml").spawn();
    let mut ids = Vec::new();
    for (body, message_type, _) in table {
        let attribute = message_type.map(|message_type| ("messageType", "String", message_type));
        ids.push(queue.send_with(body, attribute.as_slice()).await);
    }
    until_settled(&[&queue], &[&worker], &app, table.len()).await;
    for (message_id, (body, _, (job_type, source, id))) in ids.iter().zip(table) {
        let call = app.calls().into_iter().find(|call| call.message_id == *message_id);
        let call = call.unwrap_or_else(|| panic!("not run: {body}"));
        let expected = [&queue.arn(), *job_type, *source, id.unwrap_or(message_id)];
        assert_eq!(identity_of(&call), expected, "{body}");
        assert_eq!(call.body, *body, "forwarded as it is");
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_plain_body_has_the_default_type() {
    let table = [
        ("run the nightly report".to_owned(), None, ("report.nightly", "", None)),
        (r#"{"day":"2026-11-28"}"#.to_owned(), None, ("report.nightly", "", None)),
        ("[1,2]".to_owned(), None, ("report.nightly", "", None)),
        (native("a.b", "j-1"), None, ("a.b", "", Some("j-1"))),
        ("other".to_owned(), Some("a.b"), ("a.b", "", None)),
    ];
    expect_identities("default_type = \"report.nightly\"", &table).await;
}

#[tokio::test]
async fn events_have_the_type_that_the_settings_give_their_origin() {
    let file =
        "[event_types]\norders = \"by.topic\"\n\"Order Placed\" = \"by.detail\"\nuploads = \"by.bucket\"";
    let by_topic = ("by.topic", TOPIC, Some("sns-1"));
    let by_detail = ("by.detail", "shop.orders", Some("event-1"));
    let table = [
        (notification("sns-1", "plain text").to_string(), None, by_topic),
        (event("event-1", &json!({ "n": 1 })).to_string(), None, by_detail),
        (object_created("uploads", "k").to_string(), None, ("by.bucket", "uploads", None)),
        (object_created("others", "k").to_string(), None, ("s3.event", "others", None)),
    ];
    expect_identities(file, &table).await;
}

#[tokio::test]
async fn an_explicit_message_type_wins_over_the_bodys() {
    let table = [
        (native("of.body", "j-1"), Some("explicit"), ("explicit", "", None)),
        (native("of.body", "j-2"), Some("of.body"), ("of.body", "", Some("j-2"))),
        (native("of.body", "j-3"), None, ("of.body", "", Some("j-3"))),
    ];
    expect_identities("", &table).await;
}

#[tokio::test]
async fn a_byte_order_mark_is_skipped() {
    let table = [(format!("\u{feff}{}", native("a.b", "j-1")), None, ("a.b", "", Some("j-1")))];
    expect_identities("", &table).await;
}

#[tokio::test]
async fn bodies_without_a_type_run_the_handler_of_the_settings() {
    let server = MailServer::start().await;
    let queue = TestQueue::create("mapped", Setup::default()).await;
    let launch = mailing(&queue, &server, "memory:");
    let file = "default_type = \"email.send\"\n\
                [event_types]\norders = \"email.send\"\n\"Order Placed\" = \"email.send\"";
    std::fs::write(launch.home().join("types.toml"), file).unwrap();
    let worker = launch.env("DRUMLINE_CONFIG", "types.toml").spawn();
    let mail = |delivery: &str| json!({ "deliveryId": delivery, "templateId": "welcome", "userId": "ada" });
    let bodies =
        [mail("plain"), notification("sns-1", &mail("topic").to_string()), event("event-1", &mail("detail"))];
    queue.send_all(&bodies.map(|body| body.to_string())).await;
    eventually("all are sent", async || server.mails().len() >= 3 && queue.is_empty().await).await;
    let mails = server.mails().concat();
    for delivery in ["plain", "topic", "detail"] {
        assert_eq!(mails.matches(&format!("Message-ID: <{delivery}@")).count(), 1, "{delivery}: {mails}");
    }
    worker.stop().await;
}
