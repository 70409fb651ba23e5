//! `drumline dlq replay` of letters whose hold ends before their turn.

use std::time::Duration;

use drumline_tests::{LocalQueue, Setup};
use serde_json::json;

use super::dlq_replay::{buried, job, replay, result};

/// Sends letters that a filter by the type `mail.test` does not choose.
pub(super) fn send_others(queue: &LocalQueue, letters: usize) {
    (0..letters).for_each(|n| drop(queue.send(&format!(r#"{{"type":"other","payload":{n}}}"#))));
}

#[tokio::test]
async fn letters_whose_hold_ends_before_their_turn_are_still_sent() {
    let queue = buried(Setup::default(), |queue| (0..13).for_each(|n| drop(queue.send(&job(n))))).await;
    let folder = tempfile::tempdir().unwrap();
    // Half of the hold is the margin: after 5 s those that wait are released.
    let args = ["--yes", "--no-check", "--rate", "2/s", "--hold", "10s"];
    let finished = replay(&queue, folder.path(), &args).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert_eq!((queue.count(), queue.dead().len()), (13, 0), "{}", finished.errors());
    let result = result(&finished);
    assert_eq!((&result["matched"], &result["sent"]), (&json!(13), &json!(13)));
}

#[tokio::test]
async fn letters_that_are_put_back_among_many_others_are_all_sent() {
    const LETTERS: usize = 30;
    const OTHERS: usize = 400;
    let queue = buried(Setup::default(), |queue| {
        send_others(queue, OTHERS);
        (0..LETTERS).for_each(|n| drop(queue.send(&job(n))));
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let args = ["--type", "mail.test", "--yes", "--no-check", "--rate", "2/s", "--hold", "10s"];
    let replaying = replay(&queue, folder.path(), &args).spawn();
    let finished = replaying.finish_within(Duration::from_mins(2)).await;
    assert_eq!((queue.count(), queue.dead().len()), (LETTERS, OTHERS), "{}", finished.errors());
    assert_eq!((finished.status, &result(&finished)["sent"]), (Some(0), &json!(LETTERS)));
}
