//! The sample events of `lambda/events`, each passed to the function with the sample jobs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use drumline_tests::{FunctionLaunch, Invocation, LocalQueue, Setup, md5};
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../lambda/events")
}

/// The path of a sample event.
pub(crate) fn sample(name: &str) -> PathBuf {
    folder().join(name).canonicalize().unwrap()
}

/// The id of a message of a sample event.
pub(crate) fn id(number: usize) -> String {
    format!("5c0ffee0-0000-4000-8000-{number:012}")
}

#[tokio::test]
async fn each_is_answered_as_its_description_says() {
    let expected: &[(&str, &[usize])] = &[
        ("sqs-one.json", &[]),
        ("sqs-batch-of-ten.json", &[]),
        ("sqs-partial-failure.json", &[2]),
        ("sqs-fifo.json", &[1, 2]),
        ("sqs-poison-body.json", &[1]),
        ("sqs-from-sns.json", &[]),
        ("sqs-from-eventbridge.json", &[]),
        ("sqs-from-s3.json", &[1]),
    ];
    let files = std::fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name());
    let files: BTreeSet<String> = files.map(|name| name.into_string().unwrap()).collect();
    let names = expected.iter().map(|(name, _)| (*name).to_owned());
    assert_eq!(files, names.chain(["README.md".to_owned()]).collect(), "each has an expectation");

    let queue = LocalQueue::create(Setup::default()).await;
    for (name, failed) in expected {
        let event = std::fs::read(sample(name)).unwrap();
        let records = serde_json::from_slice::<Value>(&event).unwrap();
        for record in records["Records"].as_array().unwrap() {
            assert_eq!(record["md5OfBody"], md5(record["body"].as_str().unwrap()), "{name}");
        }
        let launch = FunctionLaunch::new().env("AWS_ENDPOINT_URL_SQS", &queue.endpoint_url());
        let function = launch.spawn().await;
        let failed: Vec<String> = failed.iter().map(|&number| id(number)).collect();
        let answered = function.invoke(Invocation::new(event)).await;
        assert!(answered.text().contains("batchItemFailures"), "{name}: {}", answered.text());
        answered.expect_failed(&failed);
    }
}
