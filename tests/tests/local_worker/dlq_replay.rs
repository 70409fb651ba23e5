//! `drumline dlq replay`: letters return to their queues, once, and none is lost at any point of a kill.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use drumline_queue::MessageState;
use drumline_queue::api::{DeleteMessage, ReceiveMessage};
use drumline_tests::{Answer, App, Finished, Launch, LocalQueue, Setup, Worker, eventually, status_of};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Returns a queue with these messages in its DLQ. The DLQ knows the queue in which they died.
pub(super) async fn buried(setup: Setup, send: impl FnOnce(&LocalQueue)) -> LocalQueue {
    let queue = LocalQueue::create(Setup { max_receive_count: Some(1), ..setup }).await;
    send(&queue);
    bury(&queue).await;
    queue
}

/// Receives every message of the queue until SQS has moved it to the DLQ.
pub(crate) async fn bury(queue: &LocalQueue) {
    let dead = queue.dead().len();
    let waiting = queue.count();
    while queue.count() > 0 {
        let request = ReceiveMessage {
            queue_url: queue.url.clone(),
            max_number_of_messages: Some(10),
            visibility_timeout: Some(0),
            ..ReceiveMessage::default()
        };
        queue.endpoint().receive(request).await.unwrap();
    }
    assert_eq!(queue.dead().len(), dead + waiting);
}

/// `drumline dlq replay ARGS…`, with journals in `folder`.
pub(crate) fn replay(queue: &LocalQueue, folder: &Path, args: &[&str]) -> Launch {
    let args = [&["dlq", "replay", "--output", "json"], args].concat();
    Launch::new(&args)
        .env("DRUMLINE_QUEUE_URL", &queue.url)
        .env("AWS_ENDPOINT_URL", &queue.endpoint_url())
        .env("XDG_STATE_HOME", &folder.display().to_string())
}

pub(crate) fn result(finished: &Finished) -> Value {
    let line = finished.stdout.last().unwrap_or_else(|| panic!("no result: {}", finished.errors()));
    serde_json::from_str(line).unwrap()
}

pub(super) fn job(n: usize) -> String {
    json!({ "jobId": format!("j-{n}"), "type": "mail.test", "payload": { "n": n } }).to_string()
}

pub(super) fn bodies(queue: &LocalQueue) -> Vec<String> {
    let peeked = queue.endpoint().peek(&queue.url).unwrap();
    peeked.iter().map(|message| message.body.to_string()).collect()
}

#[tokio::test]
async fn matching_letters_return_to_their_queue_and_others_stay() {
    let queue = buried(Setup::default(), |queue| {
        (0..25).for_each(|n| drop(queue.send(&job(n))));
        queue.send(r#"{"type":"other","jobId":"o-1","payload":{}}"#);
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let args = ["--type", "mail.test", "--expect", "25", "--name", "INC-42", "--actor", "ops"];
    let finished = replay(&queue, folder.path(), &args).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let result = result(&finished);
    assert_eq!(
        (&result["sent"], &result["state"], &result["name"]),
        (&json!(25), &json!("done"), &json!("INC-42"))
    );
    assert_eq!((&result["perQueue"], &result["left"]), (&json!({ "jobs": 25 }), &json!({})));
    let sent: BTreeSet<String> = bodies(&queue).into_iter().collect();
    assert_eq!(sent, (0..25).map(job).collect(), "bodies are kept to the byte");
    let dead = queue.dead();
    assert_eq!(dead.len(), 1);
    assert!(dead[0].body.contains("o-1") && matches!(dead[0].state, MessageState::Visible));

    let journal = folder.path().join("drumline/dlq/INC-42.journal");
    assert!(finished.errors().contains(&journal.display().to_string()), "{}", finished.errors());
    let text = std::fs::read_to_string(&journal).unwrap();
    assert!(text.contains("\"actor\":\"ops\"") && !text.contains("payload"), "a journal has no bodies");
    assert!(!journal.with_extension("journal.held").exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&journal).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let again = replay(&queue, folder.path(), &["--yes", "--name", "INC-42"]).finish().await;
    assert_eq!(again.status, Some(64), "{}", again.errors());
    assert!(again.errors().contains("--resume"), "{}", again.errors());
}

#[tokio::test]
async fn nothing_is_sent_if_another_number_matches_or_in_a_dry_run() {
    let queue = buried(Setup::default(), |queue| (0..12).for_each(|n| drop(queue.send(&job(n))))).await;
    let folder = tempfile::tempdir().unwrap();
    let table: [(&[&str], i32); 4] =
        [(&["--expect", "11"], 1), (&["--dry-run"], 0), (&["--dry-run", "--expect", "13"], 1), (&[], 64)];
    for (args, status) in table {
        let finished = replay(&queue, folder.path(), args).finish().await;
        assert_eq!(finished.status, Some(status), "{args:?}: {}", finished.errors());
        if args.contains(&"--dry-run") {
            assert_eq!(result(&finished)["perQueue"], json!({ "jobs": 12 }));
        }
    }
    assert_eq!((queue.count(), queue.dead().len()), (0, 12));
    assert!(queue.dead().iter().all(|letter| matches!(letter.state, MessageState::Visible)));
    assert!(!folder.path().join("drumline").exists(), "no journal was begun");
}

#[tokio::test]
async fn a_replay_killed_at_random_sends_every_letter_mostly_once() {
    const LETTERS: usize = 400;
    const KILLS: usize = 5;
    let queue = buried(Setup::default(), |queue| {
        (0..LETTERS).for_each(|n| drop(queue.send(&job(n))));
        (0..30).for_each(|n| drop(queue.send(&format!(r#"{{"type":"other","payload":{n}}}"#))));
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let begin = ["--type", "mail.test", "--yes", "--name", "kills", "--hold", "10s"];
    let resume = ["--resume", "kills", "--hold", "10s"];
    for kill in 0..KILLS {
        let args: &[&str] = if kill == 0 { &begin } else { &resume };
        let before = queue.count();
        let process = replay(&queue, folder.path(), args).spawn();
        let target = before + fastrand::usize(1..60);
        eventually("some are sent", async || queue.count() >= target).await;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..20))).await;
        process.kill().await;
        let letters = queue.dead().iter().filter(|letter| letter.body.contains("mail.test")).count();
        assert!(letters + queue.count() >= LETTERS, "nothing is lost");
    }
    let finished = replay(&queue, folder.path(), &resume).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for body in bodies(&queue) {
        *times.entry(body).or_default() += 1;
    }
    assert_eq!(times.len(), LETTERS, "every letter is sent");
    let twice: usize = times.values().map(|count| count - 1).sum();
    assert!(twice <= KILLS * 10, "{twice} were sent twice");
    let dead = queue.dead();
    assert!(dead.iter().all(|letter| letter.body.contains("other")), "{}", finished.errors());
    assert_eq!(dead.len(), 30, "exactly the others are left");
    assert!(dead.iter().all(|letter| matches!(letter.state, MessageState::Visible)));
    assert_eq!(result(&finished)["sent"], LETTERS);
}

#[tokio::test]
async fn the_order_in_each_group_is_kept_over_kills() {
    const GROUPS: usize = 7;
    const EACH: usize = 20;
    let setup = Setup { fifo: true, ..Setup::default() };
    let queue = buried(setup, |queue| {
        for n in 0..EACH {
            (0..GROUPS)
                .for_each(|group| drop(queue.send_grouped(&format!("{group}:{n}"), &format!("g{group}"))));
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let process =
        replay(&queue, folder.path(), &["--yes", "--no-check", "--name", "fifo", "--hold", "10s"]).spawn();
    eventually("some are sent", async || queue.count() >= 20).await;
    process.kill().await;
    let process = replay(&queue, folder.path(), &["--resume", "fifo", "--no-check", "--hold", "10s"]).spawn();
    eventually("some more are sent", async || queue.count() >= 60).await;
    process.kill().await;
    // Letters hidden by killed processes without a record are visible again.
    queue.endpoint().advance(Duration::from_secs(10));
    let finished =
        replay(&queue, folder.path(), &["--resume", "fifo", "--no-check", "--no-wait"]).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert_eq!(queue.dead().len(), 0, "{}", finished.errors());
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut messages = queue.endpoint().peek(&queue.url).unwrap();
    messages.sort_by_key(|message| message.sequence_number.clone());
    for message in messages {
        let (group, n) = message.body.split_once(':').unwrap();
        groups.entry(group.to_owned()).or_default().push(n.parse().unwrap());
    }
    assert_eq!(groups.len(), GROUPS);
    for (group, order) in groups {
        assert_eq!(order, (0..EACH).collect::<Vec<_>>(), "group {group}");
    }
}

/// Holds letters like another operator's command, and deletes none.
pub(super) async fn hold_some(queue: &LocalQueue, dlq: &str) -> Vec<DeleteMessage> {
    let request = ReceiveMessage {
        queue_url: dlq.to_owned(),
        max_number_of_messages: Some(10),
        visibility_timeout: Some(60),
        ..ReceiveMessage::default()
    };
    let reply = queue.endpoint().receive(request).await.unwrap();
    let delete = |receipt_handle: String| DeleteMessage { queue_url: dlq.to_owned(), receipt_handle };
    reply.messages.into_iter().map(|message| delete(message.receipt_handle)).collect()
}

#[tokio::test]
async fn letters_that_another_holds_are_left_to_it() {
    let queue = buried(Setup::default(), |queue| (0..30).for_each(|n| drop(queue.send(&job(n))))).await;
    let folder = tempfile::tempdir().unwrap();
    let dlq = queue.url.replace("/jobs", "/jobs-dlq");
    let held = hold_some(&queue, &dlq).await;
    assert_eq!(held.len(), 10);
    let finished = replay(&queue, folder.path(), &["--yes"]).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert!(finished.errors().contains("about 10 of the messages"), "{}", finished.errors());
    assert_eq!((queue.count(), queue.dead().len()), (20, 10));
}

/// Returns a queue, its dead letters, and a worker whose application answers with this status.
pub(super) async fn with_worker(letters: usize, status: u16) -> (LocalQueue, Worker, String) {
    let queue = buried(Setup::default(), |queue| (0..letters).for_each(|n| drop(queue.send(&job(n))))).await;
    let app = App::start(move |_| async move { Answer::status(status) }).await;
    let launch = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url());
    let addr = launch.http_addr().to_string();
    let worker = launch.spawn();
    eventually("it answers", async || status_of(&format!("http://{addr}/readyz")).await == Some(200)).await;
    // The application lives as long as the test.
    std::mem::forget(app);
    (queue, worker, addr)
}

#[tokio::test]
async fn a_canary_stops_a_replay_whose_cause_is_still_there() {
    let (queue, worker, addr) = with_worker(40, 422).await;
    let folder = tempfile::tempdir().unwrap();
    let args = ["--yes", "--no-check", "--canary", "5", "--name", "canary"];
    let finished = replay(&queue, folder.path(), &args).env("DRUMLINE_HTTP_ADDR", &addr).finish().await;
    assert_eq!(finished.status, Some(1), "{}", finished.errors());
    let result = result(&finished);
    assert_eq!((&result["sent"], &result["state"]), (&json!(5), &json!("stopped")), "{}", finished.errors());
    assert!(result["why"].as_str().unwrap().contains("5 are dead again"), "{result}");
    eventually("they are back", async || queue.dead().len() == 40 && queue.count() == 0).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_canary_lets_a_replay_go_on_once_its_jobs_are_done() {
    let (queue, worker, addr) = with_worker(40, 200).await;
    let folder = tempfile::tempdir().unwrap();
    let args = ["--yes", "--no-check", "--canary", "5"];
    let finished = replay(&queue, folder.path(), &args).env("DRUMLINE_HTTP_ADDR", &addr).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert_eq!(result(&finished)["sent"], 40);
    assert!(finished.errors().contains("of the first 5 letters 5 are done"), "{}", finished.errors());
    assert_eq!(queue.dead().len(), 0);
    worker.stop().await;
}

#[tokio::test]
async fn sqs_moves_letters_by_itself_and_is_stopped_by_cancel() {
    let queue = buried(Setup::default(), |queue| (0..300).for_each(|n| drop(queue.send(&job(n))))).await;
    let folder = tempfile::tempdir().unwrap();
    let table: [(&[&str], &str); 4] = [
        (&["--native", "--yes", "--type", "a.b"], "--type does not go with it"),
        (&["--native", "--yes", "--rate", "501/s"], "1 to 500"),
        (&["--native"], "--yes"),
        (&["--native", "--yes", "--canary", "3"], "--canary"),
    ];
    for (args, says) in table {
        let finished = replay(&queue, folder.path(), args).finish().await;
        assert_eq!(finished.status, Some(64), "{args:?}: {}", finished.errors());
        assert!(finished.errors().contains(says), "{args:?}: {}", finished.errors());
    }
    let none = replay(&queue, folder.path(), &["--cancel"]).finish().await;
    assert_eq!(none.status, Some(1), "{}", none.errors());

    let slow = replay(&queue, folder.path(), &["--native", "--yes", "--rate", "20/s"]).spawn();
    eventually("some are moved", async || queue.count() > 0).await;
    let cancelled = replay(&queue, folder.path(), &["--cancel"]).finish().await;
    assert_eq!((cancelled.status, &result(&cancelled)["state"]), (Some(0), &json!("cancelled")));
    let slow = slow.finish().await;
    assert_eq!(slow.status, Some(1), "{}", slow.errors());
    assert!(result(&slow)["state"].as_str().unwrap().starts_with("cancel"), "{:?}", slow.stdout);
    assert!(!queue.dead().is_empty());

    let actions = async |args: &[&str]| {
        let shown = Launch::new(&[&["dlq", "actions"], args].concat());
        shown.env("XDG_STATE_HOME", &folder.path().display().to_string()).finish().await.stdout.join("\n")
    };
    let watched = replay(&queue, folder.path(), &["--native", "--yes", "--rate", "1/s", "--name", "watched"]);
    let watched = watched.spawn();
    eventually("it is recorded", async || actions(&[]).await.contains("watched")).await;
    watched.signal(Signal::INT);
    assert_eq!(watched.finish().await.status, Some(130));
    let shown = actions(&["show", "watched"]).await;
    for expected in ["replay --native", "interrupted", "dlq replay --cancel --dlq-url=arn:aws:sqs:"] {
        assert!(shown.contains(expected), "{expected} in {shown}");
    }
    let cancelled = replay(&queue, folder.path(), &["--cancel"]).finish().await;
    assert_eq!(cancelled.status, Some(0), "{}", cancelled.errors());

    let rest = replay(&queue, folder.path(), &["--native", "--yes", "--rate", "500/s", "--name", "rest"]);
    let rest = rest.finish().await;
    let moved = actions(&["show", "rest"]).await;
    assert!(moved.contains("letters   moved "), "{moved}");
    assert_eq!((rest.status, &result(&rest)["state"]), (Some(0), &json!("completed")), "{}", rest.errors());
    assert_eq!((queue.count(), queue.dead().len()), (300, 0));
}

#[tokio::test]
async fn an_interrupted_replay_releases_letters_and_can_be_resumed() {
    let queue = buried(Setup::default(), |queue| (0..300).for_each(|n| drop(queue.send(&job(n))))).await;
    let folder = tempfile::tempdir().unwrap();
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let before = queue.count();
        let name = format!("stop-{status}");
        let process = replay(&queue, folder.path(), &["--yes", "--name", &name, "--rate", "50/s"]).spawn();
        eventually("some are sent", async || queue.count() > before).await;
        process.signal(signal);
        let finished = process.finish().await;
        assert_eq!(finished.status, Some(status), "{}", finished.errors());
        let resume = result(&finished)["resume"].as_str().unwrap().to_owned();
        assert!(resume.contains("dlq replay --resume") && resume.contains(&name), "{resume}");
        let dead = queue.dead();
        assert!(dead.iter().all(|letter| matches!(letter.state, MessageState::Visible)));
        assert_eq!(queue.count() + dead.len(), 300, "each letter is in one queue");
    }
    // Under nohup, a closed terminal does not end it.
    let resumed = replay(&queue, folder.path(), &["--resume", "stop-129", "--rate", "100/s"]);
    let (before, resumed) = (queue.count(), resumed.shell(r#"trap '' HUP; exec "$0" "$@""#).spawn());
    eventually("some are sent", async || queue.count() > before).await;
    resumed.signal(Signal::HUP);
    let finished = resumed.finish().await;
    assert_eq!((finished.status, queue.count()), (Some(0), 300), "{}", finished.errors());
}

#[tokio::test]
async fn a_filter_without_a_match_reports_the_number_of_letters() {
    let queue = buried(Setup::default(), |queue| (0..12).for_each(|n| drop(queue.send(&job(n))))).await;
    let folder = tempfile::tempdir().unwrap();
    for flag in ["--yes", "--dry-run"] {
        let finished = replay(&queue, folder.path(), &[flag, "--type", "mail.tset"]).finish().await;
        assert_eq!(finished.status, Some(0), "{flag}: {}", finished.errors());
        let expected = "no letter matches: looked at 12 letters in jobs-dlq, nothing was sent";
        assert!(finished.errors().contains(expected), "{flag}: {}", finished.errors());
    }
    assert_eq!((queue.count(), queue.dead().len()), (0, 12));
}

#[tokio::test]
async fn letters_behind_an_inapplicable_one_stay_with_it() {
    let body = |n: usize| format!(r#"{{"type":"mail.test","jobId":"j-{n}","payload":{{"n":{n}}}}}"#);
    let setup = || Setup { fifo: true, ..Setup::default() };
    for consent in [&["--yes"][..], &["--expect", "10"]] {
        let queue = buried(setup(), |queue| {
            // A FIFO queue shows ten letters at a time.
            for n in 0..5 {
                let second = if n == 2 { "no JSON".to_owned() } else { body(n) };
                queue.send_grouped(&second, "broken");
                queue.send_grouped(&body(10 + n), "sound");
            }
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let fix = ["--no-check", "--set", "/payload/x=1"];
        let finished = replay(&queue, folder.path(), &[&fix[..], consent].concat()).finish().await;
        let result = result(&finished);
        assert_eq!((finished.status, &result["sent"]), (Some(1), &json!(7)), "{}", finished.errors());
        assert_eq!(result["left"], json!({ "inapplicable": 1, "behind_other": 2 }), "{}", finished.errors());
        let stays = "2 letters left: an earlier letter of its message group stays";
        assert!(finished.errors().contains(stays), "{}", finished.errors());
        assert!(queue.dead()[0].body.contains("no JSON"), "the order is as it was");
        assert_eq!((queue.count(), queue.dead().len()), (7, 3));
    }
}
