#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use drumline::core::{Ending, RunControl};

use super::*;
use crate::testing::{self, TestHost};

/// Attempts a sample as a host would: again where it asks for that.
async fn work(router: &Router, sample: &Sample) -> (Ending, u32) {
    for number in 1..=FLAKY_SUCCEEDS_AT {
        let body = sample.body.clone();
        let ending =
            testing::attempt(router, body, number, Arc::<TestHost>::default(), RunControl::new()).await;
        if !matches!(ending, Ending::RetryAsked { .. }) {
            return (ending, number);
        }
    }
    panic!("{} still fails at attempt {FLAKY_SUCCEEDS_AT}", sample.label);
}

/// Time is paused: the slow sample's seconds pass at once.
#[tokio::test(start_paused = true)]
async fn every_sample_ends_as_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let samples = prepare(folder.path()).unwrap();
    let router = router(&Settings::for_folder(folder.path()));
    for sample in &samples {
        assert!(sample.outputs.iter().all(|path| !path.exists()), "{}", sample.label);
        let (ending, attempts) = work(&router, sample).await;
        let expected = match sample.expect {
            Expect::Done => matches!(ending, Ending::Done),
            Expect::DeadLettered => matches!(ending, Ending::Rejected { .. } | Ending::InvalidPayload { .. }),
        };
        assert!(expected, "{}: {ending:?}", sample.label);
        assert!(sample.outputs.iter().all(|path| path.is_file()), "{}", sample.label);
        let flaky = sample.body.contains("sample.flaky");
        assert_eq!(attempts, if flaky { FLAKY_SUCCEEDS_AT } else { 1 }, "{}", sample.label);
    }
    assert!(!folder.path().join("data/thumbnails/never.webp").exists());
    // All of it again: the folder may be an old one.
    assert_eq!(prepare(folder.path()).unwrap().len(), samples.len());
}

#[tokio::test(start_paused = true)]
async fn the_slow_sample_takes_its_time_and_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let router = router(&Settings::for_folder(folder.path()));
    let body = job("slow", "sample.slow", &json!({ "seconds": 3 }));
    let begun = tokio::time::Instant::now();
    let host = Arc::<TestHost>::default();
    let ending = testing::attempt(&router, body.clone(), 1, Arc::clone(&host), RunControl::new()).await;
    assert_eq!((ending, begun.elapsed()), (Ending::Done, Duration::from_secs(3)));
    assert_eq!(host.progress.lock().unwrap().last(), Some(&(12, 12)));

    let control = RunControl::new();
    let host = Arc::new(TestHost { cancel_at: Some((5, control.clone())), ..TestHost::default() });
    let ending = testing::attempt(&router, body, 1, Arc::clone(&host), control).await;
    assert!(matches!(ending, Ending::RetryAsked { .. }), "{ending:?}");
    assert_eq!(host.progress.lock().unwrap().len(), 5);
}

#[test]
fn the_files_are_small() {
    let bytes: usize = FILES.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(bytes < 60 * 1024, "{bytes}");
}
