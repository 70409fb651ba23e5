//! `drumline dlq actions` and `undo`: operators see each other's actions on dead letters, and restore deleted ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use drumline::core::{ClaimRequest, Ownership};
use drumline::message::Identity;
use drumline_queue::api::{MessageAttributeValue, ReceiveMessage, SendMessage};
use drumline_queue::{MessageState, PeekedMessage};
use drumline_store::conformance::steps::granted;
use drumline_store::{JobState, Retention, Store};
use drumline_tests::{Finished, Launch, LocalQueue, Setup, eventually};
use rustix::process::Signal;
use serde_json::{Value, json};

/// A DLQ, and the state of the operators: a folder with their store and their files.
struct World {
    queue: LocalQueue,
    folder: tempfile::TempDir,
}

impl World {
    async fn new(letters: usize) -> Self {
        let queue = LocalQueue::create(Setup { max_receive_count: Some(1), ..Setup::default() }).await;
        queue.bury((0..letters).map(letter));
        let world = Self { queue, folder: tempfile::tempdir().unwrap() };
        // A worker has created it.
        std::fs::File::create(world.store()).unwrap();
        world
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("jobs.db")
    }

    fn state(&self, name: &str) -> PathBuf {
        self.folder.path().join("drumline/dlq").join(name)
    }

    /// `drumline dlq ARGS…` with the shared store.
    fn dlq(&self, args: &[&str]) -> Launch {
        self.without_store(args).env("DRUMLINE_STORE_URL", &format!("file:{}", self.store().display()))
    }

    /// Does the same with `memory:`.
    fn without_store(&self, args: &[&str]) -> Launch {
        Launch::new(&[&["dlq"], args].concat())
            .env("DRUMLINE_QUEUE_URL", &self.queue.url)
            .env("AWS_ENDPOINT_URL", &self.queue.endpoint_url())
            .env("XDG_STATE_HOME", &self.folder.path().display().to_string())
    }

    async fn actions(&self) -> Vec<Value> {
        let listed = self.dlq(&["actions", "--output", "json"]).finish().await;
        assert_eq!(listed.status, Some(0), "{}", listed.errors());
        listed.stdout.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn action(&self, name: &str) -> Value {
        let shown = self.dlq(&["actions", "show", name, "--output", "json"]).finish().await;
        assert_eq!(shown.status, Some(0), "{}", shown.errors());
        result(&shown)
    }

    /// Returns the bodies of the DLQ, with the number of their copies.
    fn bodies(&self) -> BTreeMap<String, usize> {
        let mut bodies = BTreeMap::new();
        for letter in self.queue.dead() {
            *bodies.entry(letter.body.to_string()).or_default() += 1;
        }
        bodies
    }

    fn all_are_visible(&self) -> bool {
        self.queue.dead().iter().all(|letter| letter.state == MessageState::Visible)
    }
}

/// Every third job has no ID of its own.
fn letter(n: usize) -> SendMessage {
    let id = if n.is_multiple_of(3) { String::new() } else { format!(r#""jobId":"j-{n}","#) };
    let job_type = if n.is_multiple_of(2) { "mail.out" } else { "picture.make" };
    let body = format!("{{ {id} \"type\": \"{job_type}\", \"payload\": {{ \"n\": {n}.0 }} }}");
    let number = MessageAttributeValue {
        data_type: "Number.custom".to_owned(),
        string_value: Some(n.to_string()),
        ..MessageAttributeValue::default()
    };
    let attributes =
        [("n".to_owned(), number), ("b".to_owned(), MessageAttributeValue::binary(vec![0, 255, 10]))];
    SendMessage { message_body: body, message_attributes: attributes.into(), ..SendMessage::default() }
}

fn result(finished: &Finished) -> Value {
    let line = finished.stdout.last().unwrap_or_else(|| panic!("no result: {}", finished.errors()));
    serde_json::from_str(line).unwrap()
}

fn text(letter: &PeekedMessage, attribute: &str) -> Option<String> {
    letter.attributes.get(attribute)?.string_value.clone()
}

#[tokio::test]
async fn deleted_letters_are_put_back_with_their_origin_and_their_job() {
    let world = World::new(30).await;
    let before = world.queue.dead();
    let bodies = world.bodies();
    let ids: BTreeSet<String> = before.iter().map(|letter| letter.message_id.to_string()).collect();
    let delete =
        ["delete", "--type", "mail.out", "--yes", "--expect", "15", "--name", "INC-42", "--actor", "ada"];
    let finished = world.dlq(&delete).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert_eq!(world.queue.dead().len(), 15);
    let action = world.action("INC-42").await;
    assert_eq!(
        (&action["kind"], &action["state"], &action["actor"]),
        (&json!("delete"), &json!("done"), &json!("ada"))
    );
    assert_eq!(
        (&action["counts"]["deleted"], &action["dlq"]),
        (&json!(15), &json!(world.queue.arn.clone() + "-dlq"))
    );
    assert_eq!(action["words"], json!(["--type=mail.out"]));

    let unasked = world.dlq(&["undo", "INC-42"]).finish().await;
    assert_eq!(unasked.status, Some(64), "{}", unasked.errors());
    let undo = ["undo", "INC-42", "--yes", "--name", "back", "--output", "json"];
    let finished = world.dlq(&undo).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert_eq!(result(&finished)["putBack"], json!(15));
    assert_eq!(world.bodies(), bodies);
    for letter in world.queue.dead() {
        if letter.body.contains("mail.out") {
            assert_eq!(text(&letter, "DrumlineOrigin").as_ref(), Some(&world.queue.arn));
            assert!(ids.contains(&text(&letter, "DrumlineMessageId").unwrap()));
            assert_eq!(letter.attributes["n"].data_type, "Number.custom");
            assert_eq!(letter.attributes["b"].binary_value.as_deref(), Some(&[0, 255, 10][..]));
        }
    }
    // The second time there is nothing to do.
    let again = world.dlq(&["undo", "INC-42", "--yes"]).finish().await;
    assert_eq!((again.status, world.bodies()), (Some(0), bodies), "{}", again.errors());
    let listed: Vec<Value> = world.actions().await.iter().map(|action| action["name"].clone()).collect();
    assert_eq!(listed, [json!("back"), json!("INC-42")]);

    // Restored letters are replayed like others.
    let replay = ["replay", "--type", "mail.out", "--expect", "15", "--name", "on", "--output", "json"];
    let finished = world.dlq(&replay).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert_eq!(result(&finished)["perQueue"], json!({ "jobs": 15 }));
    for message in world.queue.endpoint().peek(&world.queue.url).unwrap() {
        assert!(!message.attributes.contains_key("DrumlineOrigin"));
        let id = text(&message, "DrumlineJobId");
        assert_eq!(id.is_some(), !message.body.contains("jobId"), "{}", message.body);
        assert!(id.is_none_or(|id| ids.contains(&id)), "the job is that of the message that died");
    }
}

#[tokio::test]
async fn an_undo_says_why_it_cannot_be() {
    let world = World::new(6).await;
    let table = [
        (
            ["delete", "--no-export", "--yes", "--expect", "3", "--name", "gone", "--type", "mail.out"]
                .as_slice(),
            0,
            "",
        ),
        (&["undo", "gone", "--yes"], 64, "gone has no export"),
        (&["undo", "never", "--yes"], 1, "has no action never"),
        // An unknown name is reported before the missing consent.
        (&["undo", "never"], 1, "has no action never"),
        (&["export", &world.folder.path().join("a.jsonl").display().to_string(), "--name", "kept"], 0, ""),
        (&["undo", "kept", "--yes"], 64, "the export kept has deleted nothing"),
        (&["delete", "--yes", "--expect", "3", "--name", "moved"], 0, ""),
    ];
    for (args, status, expected) in table {
        let finished = world.dlq(args).finish().await;
        let errors = finished.errors();
        assert_eq!(finished.status, Some(status), "{args:?}: {errors}");
        assert!(errors.contains(expected), "{args:?}: {errors}");
    }
    std::fs::remove_file(world.state("moved.jsonl")).unwrap();
    let finished = world.dlq(&["undo", "moved", "--yes"]).finish().await;
    assert!(
        finished.status == Some(64) && finished.errors().contains("is not there"),
        "{}",
        finished.errors()
    );
}

#[tokio::test]
async fn an_undo_waits_for_letters_hidden_by_a_killed_delete() {
    let world = World::new(4).await;
    let bodies = world.bodies();
    let delete = ["delete", "--yes", "--expect", "2", "--type", "mail.out", "--name", "INC-7"];
    let finished = world.without_store(&delete).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    // The record that a kill leaves, a minute later. It hides one of the letters.
    let records = std::fs::read_dir(world.state("dlq-actions")).unwrap();
    for record in records.map(|entry| entry.unwrap().path()) {
        let text = std::fs::read_to_string(&record).unwrap();
        let killed = text.replace(r#""state":"done""#, r#""state":"interrupted""#);
        assert_ne!(killed, text);
        std::fs::write(&record, killed).unwrap();
    }
    let receive = ReceiveMessage {
        queue_url: world.queue.dead_letter_url().to_owned(),
        visibility_timeout: Some(600),
        ..ReceiveMessage::default()
    };
    world.queue.endpoint().call(|sqs, now| sqs.receive_message(now, &receive)).unwrap();
    let undo = ["undo", "INC-7", "--yes"];
    let refused = world.without_store(&undo).finish().await;
    assert_eq!(refused.status, Some(1), "{}", refused.errors());
    assert!(refused.errors().contains("about 1 letter is hidden in jobs-dlq"), "{}", refused.errors());
    assert_eq!(world.queue.dead().len(), 2, "nothing was sent");
    let finished = world.without_store(&[&undo[..], &["--ignore-hidden"]].concat()).finish().await;
    assert_eq!((finished.status, world.bodies()), (Some(0), bodies), "{}", finished.errors());
}

#[tokio::test]
async fn without_a_shared_store_actions_are_known_where_they_ran() {
    let world = World::new(4).await;
    let delete = ["delete", "--yes", "--expect", "4", "--name", "INC-7"];
    let finished = world.without_store(&delete).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert!(world.actions().await.is_empty(), "the other operators' store has no record of it");
    let listed = world.without_store(&["actions"]).finish().await;
    assert!(listed.stdout[0].starts_with("INC-7\tdelete\tdone\t"), "{:?}", listed.stdout);
    let finished = world.without_store(&["undo", "INC-7", "--yes"]).finish().await;
    assert_eq!((finished.status, world.queue.dead().len()), (Some(0), 4), "{}", finished.errors());
}

#[tokio::test]
async fn an_operator_sees_aborts_and_waits_for_the_replay_of_another() {
    let world = World::new(60).await;
    let replay =
        ["replay", "--yes", "--rate", "5/s", "--name", "INC-42", "--actor", "ada", "--output", "json"];
    let running = world.dlq(&replay).spawn();
    eventually("some are sent", async || world.queue.count() > 0).await;
    let delete = world.dlq(&["delete", "--yes", "--expect", "60", "--no-export"]).finish().await;
    // Letters held by the replay are hidden from it, so the count can be the reason too.
    assert_eq!(delete.status, Some(1), "{}", delete.errors());
    let second = world.dlq(&["replay", "--yes", "--name", "second"]).finish().await;
    assert_eq!(second.status, Some(1), "{}", second.errors());
    assert!(second.errors().contains("the replay INC-42 of ada has this DLQ since"), "{}", second.errors());
    assert!(!world.state("second.journal").exists(), "it has not begun");
    assert_eq!(world.action("INC-42").await["state"], json!("running"));

    let aborted = world.dlq(&["actions", "abort", "INC-42", "--actor", "bob"]).finish().await;
    assert_eq!(aborted.status, Some(0), "{}", aborted.errors());
    let finished = running.finish().await;
    assert_eq!(finished.status, Some(1), "{}", finished.errors());
    assert!(finished.errors().contains("aborted by bob"), "{}", finished.errors());
    let sent = world.queue.count();
    assert!(sent < 60 && world.queue.dead().len() == 60 - sent && world.all_are_visible());
    let action = world.action("INC-42").await;
    assert_eq!((&action["state"], &action["why"]), (&json!("aborted"), &json!("aborted by bob")));
    assert_eq!(action["counts"]["sent"], json!(sent));

    let again = world.dlq(&["actions", "abort", "INC-42"]).finish().await;
    assert_eq!(again.status, Some(1), "{}", again.errors());
    let resumed = world.dlq(&["replay", "--resume", "INC-42"]).finish().await;
    assert_eq!(resumed.status, Some(0), "{}", resumed.errors());
    assert_eq!((world.queue.count(), world.queue.dead().len()), (60, 0));
    assert_eq!(world.action("INC-42").await["counts"]["sent"], json!(60));
    let done = world.dlq(&["replay", "--resume", "INC-42"]).finish().await;
    assert!(done.status == Some(64) && done.errors().contains("INC-42 is done"), "{}", done.errors());
}

#[tokio::test]
async fn a_killed_replay_counts_as_running_but_resumes_on_its_host() {
    let world = World::new(30).await;
    let running =
        world.dlq(&["replay", "--yes", "--rate", "5/s", "--name", "INC-42", "--hold", "10s"]).spawn();
    eventually("some are sent", async || world.queue.count() > 0).await;
    running.kill().await;
    let second = world.dlq(&["replay", "--yes"]).finish().await;
    assert_eq!(second.status, Some(1), "{}", second.errors());
    // Letters of a receive that the kill has cut off stay hidden for a while.
    let resumed = world.dlq(&["replay", "--resume", "INC-42", "--no-wait"]).finish().await;
    assert_eq!(resumed.status, Some(0), "{}", resumed.errors());
    assert_eq!(world.action("INC-42").await["state"], json!("done"));
}

async fn store(world: &World) -> Arc<dyn Store> {
    let location = format!("file:{}", world.store().display()).parse().unwrap();
    drumline_store::open(&location, "worker".into(), Retention::default()).await.unwrap()
}

/// Marks the job of a letter as done, as a worker does.
async fn mark_done(world: &World, id: &str, payload_hash: u128) {
    let store = store(world).await;
    let request = ClaimRequest {
        identity: Arc::new(Identity::new(world.queue.arn.as_str(), "sample.slow", None, id)),
        payload_hash,
        lock: None,
        length: Duration::from_secs(60),
        queue: "jobs".into(),
        message_id: "m-1".into(),
        receive_count: 1,
        legacy_key: None,
    };
    let grant = granted(&store, &request).await;
    assert_eq!(store.finish(&grant.claim, None).await, Ok(Ownership::Kept));
}

#[tokio::test]
async fn a_changed_letter_of_a_done_job_is_left_without_again() {
    let world = World::new(0).await;
    let body = |id: &str| format!(r#"{{"jobId":"{id}","type":"sample.slow","payload":{{"seconds":17}}}}"#);
    let letter = |id| SendMessage { message_body: body(id), ..SendMessage::default() };
    world.queue.bury(["done", "dead"].map(letter));
    mark_done(&world, "done", 1).await;
    let set = ["--set", "/payload/seconds=0"];

    let replay = ["replay", "--yes", "--name", "first", "--output", "json"];
    let finished = world.dlq(&[&replay[..], &set].concat()).finish().await;
    assert_eq!(finished.status, Some(1), "{}", finished.errors());
    let summary = result(&finished);
    assert_eq!((&summary["sent"], &summary["left"]), (&json!(1), &json!({ "done": 1 })));
    assert_eq!(world.action("first").await["counts"], json!({ "sent": 1, "left: done": 1 }));

    // Without a change, the worker reports that the job is done; with `--again` it no longer has a mark.
    let without = world.without_store(&["replay", "--yes", "--again"]).finish().await;
    assert!(
        without.status == Some(64) && without.errors().contains("DRUMLINE_STORE_URL"),
        "{}",
        without.errors()
    );
    let replay = ["replay", "--yes", "--again", "--name", "second", "--output", "json"];
    let finished = world.dlq(&[&replay[..], &set].concat()).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert_eq!(world.action("second").await["counts"], json!({ "sent": 1, "runAgain": 1 }));
    assert!(world.queue.dead().is_empty());
    let store = format!("file:{}", world.store().display());
    let state = async || {
        let shown = Launch::new(&["jobs", "show", "done", "--output", "json"]);
        result(&shown.env("DRUMLINE_STORE_URL", &store).finish().await)["state"].clone()
    };
    assert_eq!(state().await, json!("waiting"));
    let worker = Launch::on(&world.queue).env("DRUMLINE_STORE_URL", &store).spawn();
    eventually("the jobs are done once more", async || world.queue.count() == 0).await;
    worker.stop().await;
    assert_eq!((state().await, world.queue.dead().len()), (json!("done"), 0));
}

#[tokio::test]
async fn jobs_of_letters_that_were_not_sent_yet_stay_done() {
    const LETTERS: usize = 6;
    let world = World::new(0).await;
    let id = |n: usize| format!("j-{n}");
    let body = |n| format!(r#"{{"jobId":"{}","type":"sample.slow","payload":{{"seconds":0}}}}"#, id(n));
    let letter = |n| SendMessage { message_body: body(n), ..SendMessage::default() };
    world.queue.bury((0..LETTERS).map(letter));
    for n in 0..LETTERS {
        mark_done(&world, &id(n), 1).await;
    }
    let running = world.dlq(&["replay", "--yes", "--again", "--rate", "2/s"]).spawn();
    eventually("some are sent", async || world.queue.count() > 0).await;
    running.signal(Signal::INT);
    let finished = running.finish().await;
    assert_eq!(finished.status, Some(130), "{}", finished.errors());
    let store = store(&world).await;
    let mut done = 0;
    for n in 0..LETTERS {
        let jobs = store.jobs(&id(n)).await.unwrap();
        let claims = jobs.iter().filter_map(|job| job.claim.as_ref());
        done += claims.filter(|claim| claim.state == JobState::Done).count();
    }
    let dead = world.queue.dead().len();
    assert!(dead > 0 && done == dead, "{dead} letters are left, and {done} of their jobs are done");
}
