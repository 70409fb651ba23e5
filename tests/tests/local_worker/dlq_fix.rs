//! `drumline dlq replay` with changes: letters are changed on their way, and parts that a change does not name stay.

use drumline_queue::MessageState;
use drumline_queue::api::{MessageAttributeValue, SendMessage};
use drumline_tests::{LocalQueue, Setup};
use serde_json::{Value, json};

use super::dlq_replay::{bodies, buried, replay, result};

/// Two letters with a wrong user, of which one has a number that no float holds, and one letter with the right user.
async fn wrong_users() -> LocalQueue {
    buried(Setup::default(), |queue| {
        queue.send(
            r#"{"type":"invoice.send", "jobId":"j-1","payload":{"userId":17,"n":12345678901234567890123}}"#,
        );
        queue.send(
            "{\n \"type\": \"invoice.send\",\n \"jobId\": \"j-2\",\n \"payload\": { \"userId\": 17 }\n}",
        );
        queue.send(r#"{"type":"invoice.send","jobId":"j-3","payload":{"userId":7}}"#);
        queue.send(r#"["not", "a job"]"#);
    })
    .await
}

#[tokio::test]
async fn a_value_is_set_in_the_letters_that_have_another() {
    let queue = wrong_users().await;
    let folder = tempfile::tempdir().unwrap();
    let args = ["--match", "/payload/userId=17", "--set", "/payload/userId=7"];
    let dry = replay(&queue, folder.path(), &[&args[..], &["--dry-run"]].concat()).finish().await;
    assert_eq!(dry.status, Some(0), "{}", dry.errors());
    let changes = result(&dry)["changes"].clone();
    let is_shown = |letter: &Value| {
        letter.as_str().is_some_and(|text| text.ends_with("\n- /payload/userId: 17\n+ /payload/userId: 7"))
    };
    assert!(changes.as_array().is_some_and(|all| all.len() == 2 && all.iter().all(is_shown)), "{changes}");
    assert_eq!((queue.count(), queue.dead().len()), (0, 4));

    let finished = replay(&queue, folder.path(), &[&args[..], &["--expect", "2"]].concat()).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let mut sent = bodies(&queue);
    sent.sort();
    assert_eq!(
        sent,
        [
            "{\n \"type\": \"invoice.send\",\n \"jobId\": \"j-2\",\n \"payload\": { \"userId\": 7 }\n}",
            r#"{"type":"invoice.send", "jobId":"j-1","payload":{"userId":7,"n":12345678901234567890123}}"#,
        ]
    );
    assert_eq!(queue.dead().len(), 2);
}

#[tokio::test]
async fn letters_that_a_change_does_not_change_are_left() {
    let queue = wrong_users().await;
    let folder = tempfile::tempdir().unwrap();
    let patch = folder.path().join("fix.json");
    std::fs::write(&patch, r#"[{"op":"replace","path":"/payload/userId","value":7}]"#).unwrap();
    let args = ["--patch", patch.to_str().unwrap(), "--yes"];
    let finished = replay(&queue, folder.path(), &args).finish().await;
    assert_eq!(finished.status, Some(1), "{}", finished.errors());
    let result = result(&finished);
    assert_eq!(
        (&result["sent"], &result["left"]),
        (&json!(2), &json!({ "unchanged": 1, "inapplicable": 1 }))
    );
    assert!(finished.errors().contains("the body has no place /payload/userId"), "{}", finished.errors());
    assert!(queue.dead().iter().all(|letter| matches!(letter.state, MessageState::Visible)));
    assert_eq!((queue.count(), queue.dead().len()), (2, 2));
}

#[tokio::test]
async fn a_change_that_cannot_be_read_is_bad_usage() {
    let queue = LocalQueue::create(Setup::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let patch = folder.path().join("fix.json");
    std::fs::write(&patch, r#"{"op":"remove","path":"/payload"}"#).unwrap();
    let patch = patch.to_str().unwrap();
    let table = [
        (["--set", "payload=7"], "is no JSON pointer"),
        (["--patch", patch], "belongs into an array"),
        (["--patch", "none.json"], "none.json"),
    ];
    for (args, hint) in table {
        let finished = replay(&queue, folder.path(), &[&args[..], &["--yes"]].concat()).finish().await;
        assert_eq!(finished.status, Some(64), "{args:?}");
        assert!(finished.errors().contains(hint), "{args:?}: {}", finished.errors());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn an_edit_of_one_letter_fixes_those_of_its_type_and_reason() {
    let queue = wrong_users().await;
    let folder = tempfile::tempdir().unwrap();
    let edit = |editor: &str, args: &[&str]| {
        let filter = ["--match", "/type=invoice.send", "--yes"];
        replay(&queue, folder.path(), &[&filter[..], args].concat()).env("EDITOR", editor).env("VISUAL", "")
    };
    for (editor, hint) in [("false", "exit status: 1"), ("echo '{' >", "no JSON"), ("", "$EDITOR")] {
        let refused = edit(editor, &["--edit"]).finish().await;
        assert_eq!(refused.status, Some(64), "{editor}: {}", refused.errors());
        assert!(refused.errors().contains(hint), "{editor}: {}", refused.errors());
    }
    assert_eq!((queue.count(), queue.dead().len()), (0, 4), "nothing was sent");
    let one = edit(
        "sed -i 's/: 17/: 8/'",
        &["--edit=letter", "--name", "one", "--limit", "1", "--match", "/payload/userId=17"],
    )
    .finish()
    .await;
    assert_eq!((one.status, queue.count()), (Some(0), 1), "{}", one.errors());

    let rest = edit("sed -i 's/\"userId\": [0-9]*/\"userId\": 9/'", &["--edit"]).finish().await;
    assert_eq!((rest.status, queue.count()), (Some(0), 3), "{}", rest.errors());
    assert_eq!(queue.dead().len(), 1);
    assert_eq!(
        bodies(&queue).iter().filter(|body| body.replace(' ', "").contains("\"userId\":9")).count(),
        2
    );
}

#[tokio::test]
async fn a_job_without_id_keeps_its_message_id_if_there_is_room() {
    let queue = buried(Setup::default(), |queue| {
        let send = |body: &str, attributes: usize| {
            let names = (0..attributes).map(|n| (format!("a{n}"), MessageAttributeValue::number("1")));
            let message_attributes = names.collect();
            queue.send_with(body, SendMessage { message_attributes, ..SendMessage::default() });
        };
        send(r#"{ "type": "invoice.send", "payload": {"n":1.50} }"#, 0);
        send(r#"{ "type": "invoice.send", "payload": {"n":2.50} }"#, 10);
        send("no job, and no room", 10);
    })
    .await;
    let ids: Vec<String> = queue.dead().iter().map(|letter| letter.message_id.to_string()).collect();
    let folder = tempfile::tempdir().unwrap();
    let finished = replay(&queue, folder.path(), &["--yes"]).finish().await;
    assert_eq!(finished.status, Some(1), "{}", finished.errors());
    assert_eq!(result(&finished)["left"], json!({ "no_room": 1 }));
    let sent = queue.endpoint().peek(&queue.url).unwrap();
    let in_attribute = sent.iter().find(|message| message.body.contains("1.50")).unwrap();
    assert_eq!(&*in_attribute.body, r#"{ "type": "invoice.send", "payload": {"n":1.50} }"#);
    let job_id = in_attribute.attributes["DrumlineJobId"].string_value.clone();
    assert!(job_id.is_some_and(|id| ids.contains(&id)));
    let in_body = sent.iter().find(|message| message.body.contains("2.50")).unwrap();
    let is_added = |id: &String| {
        *in_body.body == format!(r#"{{"jobId":"{id}", "type": "invoice.send", "payload": {{"n":2.50}} }}"#)
    };
    assert!(in_body.attributes.len() == 10 && ids.iter().any(is_added), "{}", in_body.body);
    assert_eq!(queue.dead().len(), 1);
}
