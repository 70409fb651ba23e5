//! `drumline dlq replay` of letters that die again.

use serde_json::json;

use super::dlq_replay::{replay, result, with_worker};

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
async fn letters_that_die_again_are_counted_although_all_letters_have_been_received() {
    let (queue, worker, _) = with_worker(60, 422).await;
    let folder = tempfile::tempdir().unwrap();
    let args = ["--yes", "--no-check", "--rate", "4/s", "--stop-after", "3"];
    let finished = replay(&queue, folder.path(), &args).finish().await;
    let result = result(&finished);
    assert_eq!((finished.status, &result["state"]), (Some(1), &json!("stopped")), "{}", finished.errors());
    assert!(result["sent"].as_u64().unwrap() < 60, "{result}");
    worker.stop().await;
}
