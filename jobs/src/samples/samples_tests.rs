#![allow(clippy::unwrap_used)]

use drumline::core::Outcome;
use drumline_testing::LocalQueue;

use super::*;
use crate::testing::{At, progress, tester};

/// Time is paused: the slow sample's seconds pass at once.
#[tokio::test(start_paused = true)]
async fn every_sample_ends_as_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let samples = prepare(folder.path()).unwrap();
    let local = LocalQueue::start(router(&Settings::for_folder(folder.path()))).await;
    for sample in &samples {
        assert!(sample.outputs.iter().all(|path| !path.exists()), "{}", sample.label);
        let id = local.body(&sample.body).send();
        local.until_idle().await;
        let runs = local.runs_of(&id);
        let attempts = runs.iter().filter(|run| run.ran()).count();
        let is_dead = local.dead_letters().iter().any(|letter| letter.message_id == id);
        let expected = match sample.expect {
            Expect::Done => !is_dead && runs.last().unwrap().outcome == Outcome::Ack,
            Expect::DeadLettered => is_dead,
        };
        assert!(expected, "{}: {runs:?}", sample.label);
        assert!(sample.outputs.iter().all(|path| path.is_file()), "{}", sample.label);
        let flaky = sample.body.contains("sample.flaky");
        let most = if flaky { FLAKY_SUCCEEDS_AT as usize } else { 1 };
        assert!(attempts <= most && (attempts == most || is_dead), "{}: {runs:?}", sample.label);
    }
    assert!(!folder.path().join("data/thumbnails/never.webp").exists());
    // All of it again: the folder may be an old one.
    assert_eq!(prepare(folder.path()).unwrap().len(), samples.len());
}

#[tokio::test(start_paused = true)]
async fn the_slow_sample_takes_its_time_and_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let tester = tester(router(&Settings::for_folder(folder.path())));
    let body = job("slow", "sample.slow", &json!({ "seconds": 3 }));
    let stopped = tester.body(&body).shut_down(At::Progress(5)).await;
    assert_eq!((stopped.outcome(), stopped.was_dropped()), (&Outcome::Requeue, false), "{stopped}");
    assert_eq!(stopped.progress().len(), 5);

    let begun = tokio::time::Instant::now();
    let run = tester.body(&body).await;
    assert!(run.is_done(), "{run}");
    assert_eq!(begun.elapsed(), Duration::from_secs(3));
    assert_eq!(progress(&run).last(), Some(&(12, 12)));
}

#[test]
fn the_files_are_small() {
    let bytes: usize = FILES.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(bytes < 60 * 1024, "{bytes}");
}
