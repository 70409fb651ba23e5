//! `drumline dlq` on large DLQs: memory does not grow with them.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use drumline_queue::MessageState;
use drumline_queue::api::{MessageAttributeValue, SendMessage};
use drumline_tests::{Finished, Launch, LocalQueue, Setup};

/// Letters of the larger DLQ, ten times those of the smaller one. Set `DRUMLINE_TEST_FULL` to use all of them.
const FULL: usize = 200_000;
const IN_CI: usize = 2_000;

/// The additional memory that ten times as many letters may need: 16 bytes for each ID, several times, and receipts are on
/// disk.
const GROWTH_KIB: u64 = 24 * 1024;

fn letters() -> usize {
    #[allow(clippy::disallowed_methods, reason = "it chooses the size of a test")]
    let is_full = std::env::var_os("DRUMLINE_TEST_FULL").is_some();
    if is_full { FULL } else { IN_CI }
}

async fn dead(letters: usize) -> LocalQueue {
    let queue = LocalQueue::create(Setup { max_receive_count: Some(1), ..Setup::default() }).await;
    queue.bury((0..letters).map(|n| {
        let reason = MessageAttributeValue::string(format!("no user {n}"));
        SendMessage {
            message_body: format!(
                r#"{{"type":"email.send","payload":{{"n":{n},"text":"{}"}}}}"#,
                "x".repeat(200)
            ),
            message_attributes: [("DrumlineReason".to_owned(), reason)].into(),
            ..SendMessage::default()
        }
    }));
    queue
}

/// Runs `drumline dlq ARGS…` to its end, and returns its peak memory in KiB.
async fn run(queue: &LocalQueue, args: &[&str]) -> (Finished, u64, Duration) {
    let args: Vec<&str> = ["dlq"].iter().chain(args).copied().collect();
    let launch = Launch::new(&args).env("DRUMLINE_QUEUE_URL", &queue.url);
    let process = launch.env("AWS_ENDPOINT_URL", &queue.endpoint_url()).spawn();
    let (begun, mut peak, mut polls) = (Instant::now(), 0, tokio::time::interval(Duration::from_millis(20)));
    while let Some(memory) = process.peak_memory_kib() {
        peak = memory;
        polls.tick().await;
    }
    let took = begun.elapsed();
    (process.finish().await, peak, took)
}

#[tokio::test]
#[allow(clippy::print_stdout, reason = "the figures")]
async fn memory_does_not_grow_with_the_dlq() {
    let folder = tempfile::tempdir().unwrap();
    let mut peaks = Vec::new();
    for count in [letters() / 10, letters()] {
        let queue = dead(count).await;
        let (finished, stats, took) = run(&queue, &["stats", "--limit", "1000000", "--output", "json"]).await;
        assert_eq!(finished.status, Some(0), "{}", finished.errors());
        let row: serde_json::Value = serde_json::from_str(&finished.stdout[0]).unwrap();
        assert_eq!((row["count"].as_u64(), finished.stdout.len()), (Some(count as u64), 1));
        println!("stats of {count}: {stats} KiB, {took:?}");
        assert!(queue.dead().iter().all(|letter| letter.state == MessageState::Visible));

        let target = folder.path().join(count.to_string()).display().to_string();
        let (finished, export, took) = run(&queue, &["export", &target, "--delete"]).await;
        assert_eq!(finished.status, Some(0), "{}", finished.errors());
        println!("export of {count} with deletion: {export} KiB, {took:?}");
        let lines = BufReader::new(File::open(&target).unwrap()).lines().count();
        assert_eq!((lines, queue.dead().len()), (count + 1, 0));
        peaks.push([stats, export]);
    }
    for (fewer, more) in peaks[0].iter().zip(peaks[1]) {
        assert!(more <= fewer + GROWTH_KIB, "{peaks:?} KiB");
    }
}

#[tokio::test]
#[allow(clippy::print_stdout, reason = "the figures")]
async fn memory_does_not_grow_with_the_letters_of_a_replay() {
    let mut peaks = Vec::new();
    for count in [letters() / 10, letters()] {
        let queue = dead(count).await;
        let (finished, peak, took) =
            run(&queue, &["replay", "--yes", "--no-check", "--output", "json"]).await;
        assert_eq!(finished.status, Some(0), "{}", finished.errors());
        let result: serde_json::Value = serde_json::from_str(&finished.stdout[0]).unwrap();
        assert_eq!((result["sent"].as_u64(), queue.dead().len()), (Some(count as u64), 0));
        assert_eq!(queue.count(), count, "each is sent once");
        println!("replay of {count}: {peak} KiB, {took:?}");
        peaks.push(peak);
    }
    assert!(peaks[1] <= peaks[0] + GROWTH_KIB, "{peaks:?} KiB");
}
