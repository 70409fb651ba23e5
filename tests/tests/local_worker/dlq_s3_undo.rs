//! Exports to S3 that are resumed, and letters that are restored from them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use drumline_queue::api::SendMessage;
use drumline_tests::{App, Finished, Launch, LocalQueue, Setup, eventually};
use serde_json::{Value, json};

use super::s3_app::{Objects, answer, s3};

/// The path of the objects of `INC-42`.
const FOLDER: &str = "/archive/dead/jobs/INC-42/";

/// A DLQ, a bucket, and the state of its operators.
struct World {
    queue: LocalQueue,
    objects: Objects,
    s3: App,
    state: tempfile::TempDir,
}

impl World {
    async fn new(letters: usize) -> Self {
        let queue = LocalQueue::create(Setup { max_receive_count: Some(1), ..Setup::default() }).await;
        queue.bury((0..letters).map(letter));
        let objects = Objects::default();
        let s3 = s3(&objects, false).await;
        Self { queue, objects, s3, state: tempfile::tempdir().unwrap() }
    }

    /// `drumline dlq ARGS…`.
    fn dlq(&self, args: &[&str]) -> Launch {
        Launch::new(&[&["dlq"], args].concat())
            .env("DRUMLINE_QUEUE_URL", &self.queue.url)
            .env("AWS_ENDPOINT_URL", &self.queue.endpoint_url())
            .env("AWS_ENDPOINT_URL_S3", &self.s3.root())
            .env("XDG_STATE_HOME", &self.state.path().display().to_string())
    }

    /// Runs it to its end and expects this status.
    async fn run(&self, args: &[&str], status: i32) -> Finished {
        let finished = self.dlq(args).finish().await;
        assert_eq!(finished.status, Some(status), "{args:?}: {}", finished.errors());
        finished
    }

    /// Returns the numbers in the bodies of the DLQ, with their copies.
    fn numbers(&self) -> Vec<usize> {
        let number = |body: &str| {
            let body: Value = serde_json::from_str(body).unwrap();
            usize::try_from(body["payload"]["n"].as_u64().unwrap()).unwrap()
        };
        let mut numbers: Vec<usize> = self.queue.dead().iter().map(|letter| number(&letter.body)).collect();
        numbers.sort_unstable();
        numbers
    }

    fn paths(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }

    /// Returns the numbers in the file of an undo.
    fn put_back_lines(&self) -> BTreeSet<usize> {
        let files = std::fs::read_dir(self.state.path().join("drumline/dlq")).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        let undone: Vec<_> =
            paths.filter(|path| path.extension().is_some_and(|end| end == "undone")).collect();
        assert_eq!(undone.len(), 1, "{undone:?}");
        let text = std::fs::read_to_string(&undone[0]).unwrap();
        let (_, lines) = text.split_once('\n').unwrap();
        lines.split_whitespace().map(|line| line.parse().unwrap()).collect()
    }
}

fn letter(n: usize) -> SendMessage {
    let message_body = format!(r#"{{"type":"email.send","payload":{{"n":{n}}}}}"#);
    SendMessage { message_body, ..SendMessage::default() }
}

fn result(finished: &Finished) -> Value {
    serde_json::from_str(finished.stdout.last().unwrap()).unwrap()
}

const EXPORT: [&str; 5] = ["export", "s3://archive/dead/jobs", "--name", "INC-42", "--output=json"];

#[tokio::test]
async fn an_export_resumes_at_its_next_object_and_can_be_undone() {
    let world = World::new(10).await;
    world.run(&EXPORT, 0).await;
    let undo = ["undo", "INC-42", "--yes", "--output=json"];
    let refused = world.run(&undo, 64).await;
    assert!(refused.errors().contains("the export INC-42 has deleted nothing"), "{}", refused.errors());

    world.queue.bury((10..15).map(letter));
    let resumed = world.run(&[&EXPORT[..], &["--delete", "--resume"]].concat(), 0).await;
    let summary = result(&resumed);
    assert_eq!((&summary["exported"], &summary["deleted"]), (&json!(5), &json!(15)));
    let total: usize = world.objects.lock().unwrap().values().map(|(_, content)| content.len()).sum();
    assert_eq!(summary["bytes"], json!(total));
    assert!(world.queue.dead().is_empty());
    assert_eq!(world.paths(), [1, 2].map(|n| format!("{FOLDER}{n:06}.jsonl")));

    // Again with the place that the result has named, after three more letters.
    world.queue.bury((15..18).map(letter));
    let place = summary["file"].as_str().unwrap();
    let resumed = world.run(&["export", place, "--delete", "--resume", "--output=json"], 0).await;
    assert_eq!(result(&resumed)["deleted"], json!(3));
    let shown = world.run(&["actions", "show", "INC-42"], 0).await;
    assert!(shown.stdout.iter().any(|line| line.contains("dlq undo INC-42")), "{:?}", shown.stdout);

    let undone = world.run(&undo, 0).await;
    assert_eq!(result(&undone)["putBack"], json!(18));
    assert_eq!(world.numbers(), (0..18).collect::<Vec<_>>());
    for letter in world.queue.dead() {
        let origin = letter.attributes["DrumlineOrigin"].string_value.as_ref();
        assert_eq!(origin, Some(&world.queue.arn));
    }
    // A header and ten letters, a header and five, a header and three.
    assert_eq!(world.put_back_lines(), (2..=11).chain(13..=17).chain(19..=21).collect());
    world.run(&undo, 0).await;
    assert_eq!(world.numbers().len(), 18, "the second time finds nothing to do");

    // The first host knows the sent letters.
    let elsewhere = world.dlq(&undo).env("HOSTNAME", "elsewhere").finish().await;
    assert_eq!(elsewhere.status, Some(64), "{}", elsewhere.errors());
    assert!(elsewhere.errors().contains("run it on that host"), "{}", elsewhere.errors());
}

#[tokio::test]
async fn a_killed_export_is_continued_and_nothing_is_written_twice() {
    let mut world = World::new(25).await;
    let stored = Arc::clone(&world.objects);
    // S3 has the object, and the process is killed before it knows that.
    world.s3 = App::start(move |call| {
        answer(&stored, &call);
        std::future::pending()
    })
    .await;
    let running = world.dlq(&[&EXPORT[..], &["--delete"]].concat()).spawn();
    eventually("the object is there", async || !world.paths().is_empty()).await;
    running.kill().await;
    assert_eq!(world.queue.dead().len(), 25);
    world.queue.endpoint().advance(Duration::from_mins(11));

    world.s3 = s3(&world.objects, false).await;
    let resumed = world.run(&[&EXPORT[..], &["--delete", "--resume"]].concat(), 0).await;
    let summary = result(&resumed);
    assert_eq!((&summary["exported"], &summary["deleted"]), (&json!(0), &json!(25)));
    assert!(world.queue.dead().is_empty());
    assert_eq!(world.paths().len(), 1);
    let undone = world.run(&["undo", "INC-42", "--yes", "--output=json"], 0).await;
    assert_eq!(result(&undone)["putBack"], json!(25));
    assert_eq!(world.numbers(), (0..25).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_undo_skips_exported_letters_that_were_not_deleted() {
    let world = World::new(10).await;
    world.run(&[&EXPORT[..], &["--delete"]].concat(), 0).await;
    world.queue.bury((10..15).map(letter));
    world.run(&[&EXPORT[..], &["--resume"]].concat(), 0).await;
    assert_eq!((world.numbers().len(), world.paths().len()), (5, 2));
    let undone = world.run(&["undo", "INC-42", "--yes", "--output=json"], 0).await;
    assert_eq!(result(&undone)["putBack"], json!(10));
    assert_eq!(world.numbers(), (0..15).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_export_that_cannot_be_continued_says_why() {
    let world = World::new(3).await;
    let resume = [&EXPORT[..], &["--delete", "--resume"]].concat();
    let refused = world.run(&resume, 64).await;
    assert!(
        refused.errors().contains("there is no export at s3://archive/dead/jobs/INC-42/"),
        "{}",
        refused.errors()
    );
    world.run(&EXPORT, 0).await;
    let first = format!("{FOLDER}000001.jsonl");
    let (token, content) = world.objects.lock().unwrap()[&first].clone();
    let change = |from: &str, to: &str| {
        let changed = content.replacen(from, to, 1);
        assert_ne!(changed, content);
        changed
    };
    let cut = content.trim_end().to_owned();
    let table = [
        (change(":jobs-dlq\"", ":mails-dlq\""), "mails-dlq, not of arn:aws:sqs:"),
        (change("\"drumlineDeadLetters\":1", "\"drumlineDeadLetters\":2"), "format version 2"),
        (change("\"name\":\"INC-42\"", "\"name\":\"INC-43\""), "is the export INC-43, not INC-42"),
        ("{}\n".to_owned(), "the first line is no header"),
        (cut, "is not complete"),
    ];
    for (content, expected) in table {
        world.objects.lock().unwrap().insert(first.clone(), (token.clone(), content));
        let refused = world.run(&resume, 64).await;
        assert!(refused.errors().contains(expected), "{expected}: {}", refused.errors());
    }
    // A lifecycle rule has removed the first of two.
    {
        let mut objects = world.objects.lock().unwrap();
        objects.remove(&first);
        objects.insert(format!("{FOLDER}000002.jsonl"), (token, content));
    }
    let refused = world.run(&resume, 64).await;
    assert!(refused.errors().contains("000001.jsonl is missing"), "{}", refused.errors());
    assert_eq!(world.queue.dead().len(), 3);
}

#[tokio::test]
async fn a_delete_exports_to_s3_and_is_undone() {
    let world = World::new(12).await;
    let delete = [
        "delete",
        "--export",
        "s3://archive/dead/jobs",
        "--yes",
        "--name",
        "INC-42",
        "--output=json",
        "--expect",
    ];
    let refused = world.run(&[&delete[..], &["11"]].concat(), 1).await;
    assert!(
        refused.errors().contains("what was exported stays in s3://archive/dead/jobs/INC-42/"),
        "{}",
        refused.errors()
    );
    let taken = world.run(&[&delete[..], &["12"]].concat(), 64).await;
    assert!(taken.errors().contains("is there already"), "{}", taken.errors());
    assert_eq!(world.numbers().len(), 12);

    world.objects.lock().unwrap().clear();
    let deleted = world.run(&[&delete[..], &["12"]].concat(), 0).await;
    assert_eq!(result(&deleted)["file"], json!("s3://archive/dead/jobs/INC-42/"));
    assert!(world.queue.dead().is_empty());
    world.run(&["undo", "INC-42", "--yes"], 0).await;
    assert_eq!(world.numbers(), (0..12).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_export_to_a_file_that_deletes_is_undone() {
    let world = World::new(12).await;
    let path = world.state.path().join("letters.jsonl").display().to_string();
    world.run(&["export", &path, "--delete", "--name", "INC-42"], 0).await;
    assert!(world.queue.dead().is_empty());
    // A kill has left a part of a line. Its letter was not deleted.
    let mut content = std::fs::read_to_string(&path).unwrap();
    content.push_str(r#"{"messageId":"#);
    std::fs::write(&path, content).unwrap();
    world.run(&["undo", "INC-42", "--yes"], 0).await;
    assert_eq!(world.numbers(), (0..12).collect::<Vec<_>>());
}
