//! `drumline dlq export` and `delete`: letters are on disk to the byte before any of them is deleted, and no others are
//! deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use drumline_dlq::line::{Header, Lines};
use drumline_queue::api::{MessageAttributeValue, SendMessage};
use drumline_queue::{MessageState, PeekedMessage};
use drumline_tests::{Fault, Launch, LocalQueue, Proxy, Setup, Signal, eventually};
use serde_json::{Value, json};

/// `drumline dlq ARGS…` on the DLQ of this queue.
fn dlq(queue: &LocalQueue, args: &[&str]) -> Launch {
    let args: Vec<&str> = ["dlq"].iter().chain(args).copied().collect();
    let launch = Launch::new(&args).env("DRUMLINE_QUEUE_URL", &queue.url);
    launch.env("AWS_ENDPOINT_URL", &queue.endpoint_url())
}

fn letter(n: usize) -> SendMessage {
    let job_type = if n.is_multiple_of(2) { "email.send" } else { "image.process" };
    let body = format!(
        "{{ \"type\": \"{job_type}\",\n \"payload\": {{ \"n\": {n}.0, \"text\": \"ä\u{2028}😀\\u0000\" }} }}"
    );
    let number = MessageAttributeValue {
        data_type: "Number.custom".to_owned(),
        string_value: Some(n.to_string()),
        ..MessageAttributeValue::default()
    };
    let attributes = [
        ("n".to_owned(), number),
        ("b".to_owned(), MessageAttributeValue::binary(vec![0, 255, 10])),
        ("t".to_owned(), MessageAttributeValue::string("x")),
    ];
    SendMessage { message_body: body, message_attributes: attributes.into(), ..SendMessage::default() }
}

async fn dead(letters: usize) -> LocalQueue {
    let queue = LocalQueue::create(Setup { max_receive_count: Some(1), ..Setup::default() }).await;
    queue.bury((0..letters).map(letter));
    queue
}

fn read(path: &Path) -> (Header, Vec<drumline_dlq::line::Exported>) {
    let file = std::fs::File::open(path).unwrap();
    let (header, lines) = Lines::open(BufReader::new(file)).unwrap();
    (header, lines.map(Result::unwrap).collect())
}

fn ids(letters: &[PeekedMessage]) -> BTreeSet<String> {
    letters.iter().map(|letter| letter.message_id.to_string()).collect()
}

fn all_are_visible(queue: &LocalQueue) -> bool {
    queue.dead().iter().all(|letter| letter.state == MessageState::Visible)
}

#[tokio::test]
async fn an_export_has_everything_of_a_letter_to_the_byte() {
    let queue = dead(25).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let target = path.display().to_string();
    let finished = dlq(&queue, &["export", &target, "--name", "INC-42", "--output", "json"]).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let summary: Value = serde_json::from_str(&finished.stdout[0]).unwrap();
    assert_eq!(
        (&summary["exported"], &summary["deleted"], &summary["state"]),
        (&json!(25), &json!(0), &json!("done"))
    );

    let (header, exported) = read(&path);
    assert_eq!((&*header.name, &*header.dlq), ("INC-42", "jobs-dlq"));
    let dead: BTreeMap<String, PeekedMessage> =
        queue.dead().into_iter().map(|letter| (letter.message_id.to_string(), letter)).collect();
    assert_eq!(exported.len(), 25);
    for line in &exported {
        let letter = &dead[&*line.message.id];
        assert_eq!(line.message.body, *letter.body);
        assert_eq!(line.message.dead_letter_source.as_deref(), Some(&*queue.arn));
        let attributes = line.message.attributes.iter().map(|(name, value)| {
            let value = match value.value() {
                drumline::message::AttributeValue::Text(text) => MessageAttributeValue {
                    data_type: value.data_type().to_owned(),
                    string_value: Some(text.clone()),
                    ..MessageAttributeValue::default()
                },
                drumline::message::AttributeValue::Binary(bytes) => {
                    MessageAttributeValue::binary(bytes.clone())
                }
            };
            (name.clone(), value)
        });
        assert_eq!(attributes.collect::<BTreeMap<_, _>>(), *letter.attributes);
    }
    assert!(all_are_visible(&queue));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    let again = dlq(&queue, &["export", &target]).finish().await;
    assert_eq!(again.status, Some(64), "no export is overwritten: {}", again.errors());
    let piped = dlq(&queue, &["export", "-", "--type", "email.send", "--limit", "5"]).finish().await;
    assert_eq!((piped.status, piped.stdout.len()), (Some(0), 6), "{}", piped.errors());
    assert!(all_are_visible(&queue));
}

#[tokio::test]
async fn a_letter_is_deleted_once_its_line_is_on_disk_and_others_stay() {
    let queue = dead(40).await;
    let before = ids(&queue.dead());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let target = path.display().to_string();
    let args = ["export", &target, "--type", "email.send", "--delete", "--output", "json"];
    let refused = dlq(&queue, &[&args[..], &["--expect", "19"]].concat()).finish().await;
    assert_eq!(refused.status, Some(1), "{}", refused.errors());
    assert!(refused.errors().contains("20 letters match instead of 19"), "{}", refused.errors());
    assert!(!path.exists() && ids(&queue.dead()) == before);

    let finished = dlq(&queue, &[&args[..], &["--expect", "20"]].concat()).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let exported: BTreeSet<String> = read(&path).1.iter().map(|line| line.message.id.to_string()).collect();
    let left = ids(&queue.dead());
    assert_eq!((exported.len(), left.len()), (20, 20));
    assert_eq!(exported.union(&left).cloned().collect::<BTreeSet<_>>(), before);
    assert!(all_are_visible(&queue));
}

#[tokio::test]
async fn a_killed_export_resumes_without_a_loss_or_a_duplicate() {
    let queue = dead(30).await;
    let before = ids(&queue.dead());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let target = path.display().to_string();
    // The file of a process that was killed while it wrote: whole lines, of letters that are still in the DLQ, and an
    // incomplete one.
    let finished = dlq(&queue, &["export", &target, "--limit", "12"]).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let length = path.metadata().unwrap().len();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(length - 7).unwrap();

    // The letters in the file count for the limit: it takes one more, and deletes all of them.
    let resume = ["export", &target, "--delete", "--resume", "--output", "json"];
    let finished = dlq(&queue, &[&resume[..], &["--limit", "12"]].concat()).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let summary: Value = serde_json::from_str(&finished.stdout[0]).unwrap();
    assert_eq!((&summary["exported"], &summary["deleted"]), (&json!(1), &json!(12)));
    assert_eq!((read(&path).1.len(), queue.dead().len()), (12, 18));

    let finished = dlq(&queue, &resume).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let summary: Value = serde_json::from_str(&finished.stdout[0]).unwrap();
    assert_eq!((&summary["exported"], &summary["deleted"]), (&json!(18), &json!(18)));
    let lines: Vec<String> = read(&path).1.iter().map(|line| line.message.id.to_string()).collect();
    assert_eq!((lines.len(), lines.into_iter().collect::<BTreeSet<_>>()), (30, before));
    assert!(queue.dead().is_empty());

    let other = dead(1).await;
    other.endpoint().create_queue("other-dlq", &[]).unwrap();
    let url = other.dead_letter_url().replace("jobs-dlq", "other-dlq");
    let foreign = dlq(&other, &["export", &target, "--resume", "--dlq-url", &url]).finish().await;
    assert_eq!(foreign.status, Some(64), "{}", foreign.errors());
}

#[tokio::test]
async fn delete_exports_first_and_deletes_exactly_what_matches() {
    let queue = dead(40).await;
    let before = ids(&queue.dead());
    let filter = ["delete", "--type", "email.send"];
    let unasked = dlq(&queue, &filter).finish().await;
    assert_eq!(unasked.status, Some(64), "{}", unasked.errors());
    assert!(unasked.errors().contains("--yes --expect N"), "{}", unasked.errors());

    let state = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let args = [&filter[..], args].concat();
        dlq(&queue, &args).env("XDG_STATE_HOME", &state.path().display().to_string()).finish()
    };
    let other = run(&["--yes", "--expect", "21", "--name", "INC-42"]).await;
    assert_eq!(other.status, Some(1), "{}", other.errors());
    let path = state.path().join("drumline/dlq/INC-42.jsonl");
    assert!(!path.exists() && ids(&queue.dead()) == before && all_are_visible(&queue));

    let finished = run(&["--yes", "--expect", "20", "--name", "INC-42", "--output", "json"]).await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let summary: Value = serde_json::from_str(&finished.stdout[0]).unwrap();
    assert_eq!((&summary["deleted"], &summary["left"]), (&json!(20), &json!(0)));
    let exported: BTreeSet<String> = read(&path).1.iter().map(|line| line.message.id.to_string()).collect();
    let left = ids(&queue.dead());
    assert_eq!(left.len(), 20);
    assert_eq!(exported.union(&left).cloned().collect::<BTreeSet<_>>(), before);
    assert!(all_are_visible(&queue));

    let gone = run(&["--no-export", "--yes", "--expect", "0"]).await;
    assert_eq!(gone.status, Some(0), "{}", gone.errors());
    assert_eq!(queue.dead().len(), 20);
}

#[tokio::test]
async fn delete_works_in_rounds() {
    let queue = dead(700).await;
    queue.endpoint().call(|sqs, _| sqs.limit_in_flight(300));
    let finished = dlq(&queue, &["delete", "--no-export", "--yes", "--expect", "700"]).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert!(queue.dead().is_empty());
}

#[tokio::test]
async fn a_fifo_queue_is_exported_and_emptied_in_order() {
    let queue =
        LocalQueue::create(Setup { fifo: true, max_receive_count: Some(1), ..Setup::default() }).await;
    let letters = (0..60).map(|n| SendMessage {
        message_group_id: Some(format!("g{}", n % 2)),
        message_deduplication_id: Some(n.to_string()),
        ..letter(n)
    });
    let sent = queue.bury(letters);
    assert_eq!(queue.dead().len(), 60);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let finished = dlq(&queue, &["export", &path.display().to_string(), "--delete"]).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert!(queue.dead().is_empty(), "{}", finished.errors());
    let exported = read(&path).1;
    for group in ["g0", "g1"] {
        let of_group = exported.iter().filter(|line| line.message.group.as_deref() == Some(group));
        let found: Vec<&str> = of_group.map(|line| &*line.message.id).collect();
        let expected: Vec<&str> =
            sent.iter().skip(usize::from(group == "g1")).step_by(2).map(String::as_str).collect();
        assert_eq!(found, expected);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_ends_an_export_and_releases_the_letters() {
    let queue = dead(5).await;
    let finished = dlq(&queue, &["export", "/dev/full"]).finish().await;
    assert_eq!(finished.status, Some(1), "{}", finished.errors());
    assert!(finished.errors().contains("/dev/full cannot be written"), "{}", finished.errors());
    let refused = dlq(&queue, &["export", "/dev/full", "--delete"]).finish().await;
    assert_eq!(refused.status, Some(64), "{}", refused.errors());
    assert!(queue.dead().len() == 5 && all_are_visible(&queue));
}

/// Does the same through a proxy that makes requests fail.
fn dlq_through(proxy: &Proxy, queue: &LocalQueue, args: &[&str]) -> Launch {
    dlq(queue, args).env("AWS_ENDPOINT_URL", &proxy.url())
}

#[tokio::test]
async fn a_missing_permission_is_named_and_nothing_is_lost() {
    let queue = dead(15).await;
    let before = ids(&queue.dead());
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("a.jsonl").display().to_string();
    let table: [(&str, &[&str]); 5] = [
        ("GetQueueAttributes", &["stats"]),
        ("ReceiveMessage", &["stats"]),
        ("ReceiveMessage", &["export", "-"]),
        ("DeleteMessageBatch", &["export", &target, "--delete"]),
        ("DeleteMessageBatch", &["delete", "--no-export", "--yes", "--expect", "15"]),
    ];
    for (action, args) in table {
        let proxy = Proxy::start(&queue.endpoint_url()).await;
        proxy.fail_always(action, Fault::Denied);
        let finished = dlq_through(&proxy, &queue, args).finish().await;
        assert_eq!(finished.status, Some(69), "{action} of {args:?}: {}", finished.errors());
        assert!(finished.errors().contains(action), "{action} of {args:?}: {}", finished.errors());
        assert!(ids(&queue.dead()) == before && all_are_visible(&queue), "{action} of {args:?}");
    }
    assert_eq!(read(Path::new(&target)).1.len(), 15, "what is exported stays in the file");
}

#[tokio::test]
async fn throttled_and_lost_calls_are_repeated() {
    let queue = dead(120).await;
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    proxy.fail("ReceiveMessage", Fault::Throttled, 3);
    proxy.fail("DeleteMessageBatch", Fault::AnswerLost, 1);
    proxy.fail("DeleteMessageBatch", Fault::EntriesFail, 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let target = path.display().to_string();
    let finished = dlq_through(&proxy, &queue, &["export", &target, "--delete"]).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert_eq!((read(&path).1.len(), queue.dead().len()), (120, 0), "{}", finished.errors());
}

#[tokio::test]
async fn a_signal_ends_an_export_with_whole_lines_and_a_release() {
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let queue = dead(12).await;
        let before = ids(&queue.dead());
        let proxy = Proxy::start(&queue.endpoint_url()).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let target = path.display().to_string();
        // The delete after the last line never gets a response.
        proxy.fail_always("DeleteMessageBatch", Fault::Hangs);
        let process = dlq_through(&proxy, &queue, &["export", &target, "--delete"]).spawn();
        eventually("it deletes", async || proxy.count("DeleteMessageBatch") > 0).await;
        process.signal(signal);
        let finished = process.finish().await;
        assert_eq!(finished.status, Some(status), "{}", finished.errors());
        assert!(ids(&queue.dead()) == before && all_are_visible(&queue), "{}", finished.errors());
        assert_eq!(read(&path).1.len(), 12);
    }
}

#[tokio::test]
async fn an_interrupted_delete_says_how_much_it_has_deleted() {
    let queue = dead(40).await;
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    proxy.fail("DeleteMessageBatch", Fault::Hangs, 1);
    let args = ["delete", "--no-export", "--yes", "--expect", "40", "--output", "json"];
    let process = dlq_through(&proxy, &queue, &args).spawn();
    eventually("all but one call are answered", async || queue.dead().len() == 10).await;
    process.signal(Signal::INT);
    let finished = process.finish().await;
    assert_eq!(finished.status, Some(130), "{}", finished.errors());
    let summary: Value = serde_json::from_str(&finished.stdout[0]).unwrap();
    // Responses in flight at its end are not counted.
    let [deleted, left] = ["deleted", "left"].map(|field| summary[field].as_u64().unwrap());
    assert!(deleted <= 30 && deleted + left == 40, "{summary}");
    assert!(queue.dead().len() == 10 && all_are_visible(&queue));
}

/// Expects that each letter is either in the export, once, or in the DLQ.
fn expect_none_lost(queue: &LocalQueue, path: &Path, before: &BTreeSet<String>) {
    let lines: Vec<String> = read(path).1.iter().map(|line| line.message.id.to_string()).collect();
    let exported: BTreeSet<String> = lines.iter().cloned().collect();
    assert_eq!(exported.len(), lines.len(), "no letter is written twice");
    let left = ids(&queue.dead());
    assert_eq!(exported.union(&left).cloned().collect::<BTreeSet<_>>(), *before);
}

#[tokio::test]
async fn killed_at_random_points_and_resumed_an_export_loses_nothing() {
    let queue = dead(1_500).await;
    let before = ids(&queue.dead());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let target = path.display().to_string();
    let length = || path.metadata().map_or(0, |metadata| metadata.len());
    let mut args = vec!["export", &*target, "--delete"];
    for _ in 0..3 {
        let (enough, process) = (length() + fastrand::u64(1..150_000), dlq(&queue, &args).spawn());
        eventually("it has written some", async || length() >= enough || queue.dead().is_empty()).await;
        process.kill().await;
        // The holds of the killed process end.
        queue.endpoint().advance(Duration::from_mins(11));
        args = vec!["export", &*target, "--delete", "--resume"];
    }
    let finished = dlq(&queue, &args).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    expect_none_lost(&queue, &path, &before);
    assert!(queue.dead().is_empty(), "{}", finished.errors());
}

#[cfg(unix)]
#[tokio::test]
async fn on_a_full_disk_only_letters_with_whole_lines_are_deleted() {
    let queue = dead(700).await;
    let before = ids(&queue.dead());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let target = path.display().to_string();
    let finished = dlq(&queue, &["export", &target, "--delete"]).largest_file(300).finish().await;
    assert_eq!(finished.status, Some(1), "{}", finished.errors());
    assert!(finished.errors().contains("cannot be written"), "{}", finished.errors());
    expect_none_lost(&queue, &path, &before);
    let left = queue.dead().len();
    assert!(left > 0 && left < 700 && all_are_visible(&queue), "{left}");

    let finished = dlq(&queue, &["export", &target, "--delete", "--resume"]).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    expect_none_lost(&queue, &path, &before);
    assert!(queue.dead().is_empty());
}
