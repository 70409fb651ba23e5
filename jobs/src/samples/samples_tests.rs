#![allow(clippy::unwrap_used)]

use drumline::core::Outcome;
use drumline_testing::LocalQueue;

use super::*;
use crate::testing::{At, progress, tester};

/// Time is paused, so the slow sample takes no real time.
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
    // Everything again, because the folder may be an old one.
    assert_eq!(prepare(folder.path()).unwrap().len(), samples.len());
}

#[tokio::test(start_paused = true)]
async fn the_slow_sample_takes_its_time_and_stops_when_asked() {
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

/// A payload that does not match its schema does not match its type.
#[test]
fn the_payloads_of_samples_fit_their_schemas() {
    let folder = tempfile::tempdir().unwrap();
    let router = router(&Settings::for_folder(folder.path()));
    let schema = |name: &str, version| {
        let job_type = router.job_types().find(|of| *of.name == *name).unwrap();
        jsonschema::validator_for(&job_type.schema(version).unwrap()).unwrap()
    };
    for Sample { label, body, expect, .. } in prepare(folder.path()).unwrap() {
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let name = body["type"].as_str().unwrap();
        let newest = router.job_types().find(|of| *of.name == *name).unwrap().version;
        let fits = [1, newest].map(|version| schema(name, version).is_valid(&body["payload"]));
        let is_misfit = label.contains("does not fit its type");
        assert_eq!(fits, [!is_misfit; 2], "{label}, {expect:?}");
    }
    let mut report = json!({ "source": "s3://b/s.csv", "target": "s3://b/t", "groupBy": "g", "value": "v" });
    assert!([1, 2].iter().all(|version| schema("report.generate", *version).is_valid(&report)));
    report["revision"] = json!("7");
    assert_eq!([1, 2].map(|version| schema("report.generate", version).is_valid(&report)), [false, true]);
    let charge = |amount: u64, currency: &str| json!({ "chargeId": "c-1", "customerId": "7", "amount": amount, "currency": currency, "description": null });
    let table = [
        (1, "EUR", true),
        (0, "EUR", false),
        (99_999_999, "EUR", true),
        (100_000_000, "EUR", false),
        (1, "eur", false),
    ];
    for (amount, currency, expected) in table {
        assert_eq!(
            schema("billing.charge", 1).is_valid(&charge(amount, currency)),
            expected,
            "{amount} {currency}"
        );
    }
    let mut event = json!({ "endpoint": "crm", "eventId": "e-1", "eventType": "a.b", "timestamp": "2026-11-29T10:00:00Z", "data": [1] });
    assert!(schema("webhook.deliver", 1).is_valid(&event));
    event["endpoint"] = json!("https://example.com/");
    assert!(!schema("webhook.deliver", 1).is_valid(&event));
}

#[test]
fn the_files_are_small() {
    let bytes: usize = FILES.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(bytes < 60 * 1024, "{bytes}");
}
