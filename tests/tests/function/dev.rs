//! `drumline dev --function`: the function's process behind the embedded queue.

use std::path::Path;

use drumline_tests::{Launch, Signal, binary, eventually};

/// `EX_USAGE`.
const USAGE: i32 = 64;

fn launch(folder: &Path, bootstrap: &str, more: &[&str]) -> Launch {
    let dir = folder.join("dev").display().to_string();
    let args = ["dev", "--sqs-addr", "127.0.0.1:0", "--dir", &dir, "--function", bootstrap];
    Launch::new(&[&args, more].concat())
}

fn own() -> String {
    binary("drumline-lambda", "drumline-lambda").display().to_string()
}

#[tokio::test]
async fn the_samples_run_in_the_function_until_it_is_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let worker = launch(folder.path(), &own(), &["--batch-size", "1", "--concurrency", "4"]).spawn();
    let shown = |text: &str| worker.stderr().iter().any(|line| line.contains(text));
    eventually("a job is done", async || shown(": done in ")).await;
    eventually("a message is in the DLQ", async || shown("in the DLQ: cannot read ")).await;
    let sent = folder.path().join("dev/outbox/welcome-ada.eml");
    eventually("the mail is sent", async || sent.exists()).await;
    worker.signal(Signal::INT);
    let finished = worker.finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert!(!finished.errors().contains("_aws"), "{}", finished.errors());
}

#[tokio::test]
async fn the_samples_run_on_a_fifo_queue_too() {
    let folder = tempfile::tempdir().unwrap();
    let worker =
        launch(folder.path(), &own(), &["--fifo", "--batch-size", "1", "--concurrency", "4"]).spawn();
    let shown = |text: &str| worker.stderr().iter().any(|line| line.contains(text));
    eventually("a job is done", async || shown(": done in ")).await;
    eventually("a message is in the DLQ", async || shown("in the DLQ: cannot read ")).await;
    worker.signal(Signal::INT);
    let finished = worker.finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
}

#[tokio::test]
async fn a_function_that_does_not_start_ends_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let finished = launch(folder.path(), &own(), &["--env", "DRUMLINE_CONCURRENCY=none"]).finish().await;
    assert_eq!(finished.status, Some(1), "{}", finished.errors());
    assert!(finished.errors().contains("did not start"), "{}", finished.errors());
    assert!(finished.errors().contains("DRUMLINE_CONCURRENCY"), "{}", finished.errors());
}

#[tokio::test]
async fn a_mapping_that_lambda_would_refuse_is_bad_usage() {
    let folder = tempfile::tempdir().unwrap();
    let own = own();
    let table: [(&str, &[&str], &str); 7] = [
        (&own, &["--batch-size", "11"], "batch window of 1 s"),
        (&own, &["--batch-window", "301s"], "from 0 to 300 s"),
        (&own, &["--concurrency", "0"], "concurrency"),
        (&own, &["--timeout", "1h"], "from 1s to 15m"),
        (&own, &["--queue-only"], "--queue-only"),
        (&own, &["--fifo", "--batch-window", "1s"], "no batch window"),
        ("missing", &[], "No such file"),
    ];
    for (bootstrap, args, text) in table {
        let finished = launch(folder.path(), bootstrap, args).finish().await;
        assert_eq!(finished.status, Some(USAGE), "{args:?}: {}", finished.errors());
        assert!(finished.errors().contains(text), "{args:?}: {}", finished.errors());
    }
    let finished = Launch::new(&["dev", "--batch-size", "5"]).finish().await;
    assert_eq!(finished.status, Some(USAGE), "{}", finished.errors());
    assert!(finished.errors().contains("--function"), "{}", finished.errors());
}

#[tokio::test]
async fn a_short_visibility_timeout_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--visibility-timeout", "10s", "--env", "DRUMLINE_CONCURRENCY=none"];
    let finished = launch(folder.path(), &own(), &more).finish().await;
    assert!(finished.errors().contains("shorter than the function's timeout"), "{}", finished.errors());
}
