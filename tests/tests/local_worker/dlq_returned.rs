//! `drumline dlq replay` of letters that die again.

use std::time::Duration;

use drumline_queue::MessageState;
use drumline_tests::{Launch, LocalQueue, Setup, eventually_within};
use serde_json::json;

use super::dlq_hold::send_others;
use super::dlq_replay::{buried, job, replay, result, with_worker};

#[tokio::test]
async fn replayed_letters_that_die_again_stop_a_replay() {
    let (queue, worker, _) = with_worker(400, 422).await;
    let folder = tempfile::tempdir().unwrap();
    let args = ["--yes", "--no-check", "--rate", "40/s", "--stop-after", "10"];
    let finished = replay(&queue, folder.path(), &args).finish().await;
    let result = result(&finished);
    assert_eq!((finished.status, &result["state"]), (Some(1), &json!("stopped")), "{}", finished.errors());
    assert!(result["returned"].as_u64().unwrap() >= 10, "{result}");
    worker.stop().await;
}

#[tokio::test]
async fn a_replay_whose_letters_die_again_ends_with_an_error() {
    let (queue, worker, _) = with_worker(30, 422).await;
    let folder = tempfile::tempdir().unwrap();
    let args = ["--yes", "--no-check", "--rate", "10/s", "--stop-after", "1000"];
    let finished = replay(&queue, folder.path(), &args).finish().await;
    let result = result(&finished);
    assert_eq!((finished.status, &result["sent"]), (Some(1), &json!(30)), "{}", finished.errors());
    assert!(result["returned"].as_u64().unwrap() > 0 && result["resume"].is_null(), "{result}");
    assert!(finished.errors().contains("replayed letters that are dead again: "), "{}", finished.errors());
    worker.stop().await;
}

#[tokio::test]
async fn letters_that_die_again_after_all_receives_are_counted() {
    for limit in [None, Some("60")] {
        let (queue, worker, _) = with_worker(60, 422).await;
        let folder = tempfile::tempdir().unwrap();
        let mut args = vec!["--yes", "--no-check", "--rate", "4/s", "--stop-after", "3"];
        args.extend(["--name", "again"]);
        args.extend(limit.iter().flat_map(|limit| ["--limit", limit]));
        let finished = replay(&queue, folder.path(), &args).finish().await;
        let result = result(&finished);
        assert_eq!(
            (finished.status, &result["state"]),
            (Some(1), &json!("stopped")),
            "{}",
            finished.errors()
        );
        assert!(result["sent"].as_u64().unwrap() < 60, "{result}");
        worker.stop().await;

        // The cause is fixed: no further letter dies.
        let resume =
            async || replay(&queue, folder.path(), &["--resume", "again", "--no-check"]).finish().await;
        let mut finished = resume().await;
        // Some died after the stop. The first process that sees them reports them.
        if finished.status == Some(1) {
            finished = resume().await;
        }
        let resumed = super::dlq_replay::result(&finished);
        assert_eq!((finished.status, &resumed["state"]), (Some(0), &json!("done")), "{}", finished.errors());
        assert_eq!(resumed["sent"], json!(60));
        assert!(resumed["returned"].as_u64() >= result["returned"].as_u64(), "{resumed}");
        assert!(finished.errors().contains("had died again before"), "{}", finished.errors());
        let shown = Launch::new(&["dlq", "actions", "show", "again"]);
        let shown = shown.env("XDG_STATE_HOME", &folder.path().display().to_string()).finish().await;
        let shown = shown.stdout.join("\n");
        assert!(shown.contains("done") && !shown.contains("--resume"), "{shown}");
    }
}

/// Receives the messages of the queue repeatedly until they are dead.
async fn have_all_die(queue: &LocalQueue) {
    loop {
        queue.bury([]);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_replay_of_some_letters_looks_for_them_before_it_ends() {
    let queue = buried(Setup::default(), |queue| (0..40).for_each(|n| drop(queue.send(&job(n))))).await;
    let folder = tempfile::tempdir().unwrap();
    let args = ["--yes", "--no-check", "--limit", "6", "--rate", "2/s"];
    let finished = tokio::select! {
        finished = replay(&queue, folder.path(), &args).finish() => finished,
        () = have_all_die(&queue) => unreachable!(),
    };
    let result = result(&finished);
    assert_eq!((finished.status, &result["sent"]), (Some(1), &json!(6)), "{}", finished.errors());
    assert!(result["returned"].as_u64().unwrap() > 0, "{result}");
    assert!(queue.dead().iter().all(|letter| matches!(letter.state, MessageState::Visible)));
}

#[tokio::test]
async fn letters_that_die_after_the_holds_end_stop_a_replay() {
    const LETTERS: usize = 50;
    let queue = buried(Setup::default(), |queue| {
        send_others(queue, 400);
        (0..LETTERS).for_each(|n| drop(queue.send(&job(n))));
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let args =
        ["--type", "mail.test", "--yes", "--no-check", "--rate", "2/s", "--hold", "10s", "--stop-after", "3"];
    let die_later = async {
        let are_most_sent = async || queue.count() >= LETTERS / 2;
        eventually_within(Duration::from_mins(1), "most are sent", are_most_sent).await;
        have_all_die(&queue).await;
    };
    let finished = tokio::select! {
        finished = replay(&queue, folder.path(), &args).spawn().finish_within(Duration::from_mins(2)) => finished,
        () = die_later => unreachable!(),
    };
    let result = result(&finished);
    assert_eq!((finished.status, &result["state"]), (Some(1), &json!("stopped")), "{}", finished.errors());
    assert!(result["sent"].as_u64().unwrap() < LETTERS as u64, "{result}");
}
