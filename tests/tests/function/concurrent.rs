//! Several invocations at once in one process, as on Lambda Managed Instances.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/lambda-managed-instances.html>

use std::collections::BTreeMap;
use std::time::Duration;

use drumline_tests::{FunctionLaunch, Invocation, LocalQueue, Record, Setup, eventually, ids, sqs_event};
use serde_json::Value;

use crate::apps::{HANGS, meeting, obedient};
use crate::logs::field;

#[tokio::test]
async fn they_run_beside_each_other() {
    let queue = LocalQueue::create(Setup::default()).await;
    // Neither job gets its answer before the other has started.
    let app = meeting(2).await;
    let launch = FunctionLaunch::forwarding(&app, &queue).env("AWS_LAMBDA_MAX_CONCURRENCY", "2");
    let function = launch.spawn().await;
    eventually("two invocations are asked for", async || function.api().asked().len() == 2).await;
    let invoke = || function.invoke(Invocation::new(sqs_event(&[Record::hand_made("x")])));
    let (one, other) = tokio::join!(invoke(), invoke());
    one.expect_all_done();
    other.expect_all_done();
    assert_ne!(one.request_id, other.request_id);
}

#[tokio::test]
async fn each_has_its_own_answer_and_its_own_deadline() {
    let (app, queue) = (obedient().await, LocalQueue::create(Setup::default()).await);
    let launch = FunctionLaunch::forwarding(&app, &queue).env("AWS_LAMBDA_MAX_CONCURRENCY", "4");
    let function = launch.spawn().await;
    eventually("all ask", async || function.api().asked().len() == 4).await;
    let slow = queue.batch(&[HANGS, "200 a"]).await;
    let failing = queue.batch(&["503 b", "422 c", "200 d"]).await;
    let timeout = Duration::from_secs(6);
    let pending = function.begin(Invocation::new(sqs_event(&slow)).timeout(timeout));
    let answered = function.invoke(Invocation::new(sqs_event(&failing))).await;
    answered.expect_failed(&ids(&failing[..2]));
    let answered = pending.answered().await;
    answered.expect_failed(&ids(&slow[..1]));
    assert!(answered.after < timeout, "{:?}", answered.after);
    assert_eq!(app.count(), 5);
}

#[tokio::test]
async fn a_message_that_two_of_them_bring_is_answered_in_both() {
    let (app, queue) = (obedient().await, LocalQueue::create(Setup::default()).await);
    let launch = FunctionLaunch::forwarding(&app, &queue).env("AWS_LAMBDA_MAX_CONCURRENCY", "2");
    let function = launch.spawn().await;
    let batch = queue.batch(&["422 a"]).await;
    let invoke = || function.invoke(Invocation::new(sqs_event(&batch)));
    let (one, other) = tokio::join!(invoke(), invoke());
    one.expect_failed(&ids(&batch));
    other.expect_failed(&ids(&batch));
    assert!((1..=2).contains(&app.count()));
}

#[tokio::test]
async fn many_at_once_mix_neither_their_logs_nor_their_metrics() {
    const INVOCATIONS: usize = 60;
    let (app, queue) = (obedient().await, LocalQueue::create(Setup::default()).await);
    let launch = FunctionLaunch::forwarding(&app, &queue).env("AWS_LAMBDA_MAX_CONCURRENCY", "8");
    let function = launch.spawn().await;
    let pending: Vec<_> = (0..INVOCATIONS)
        .map(|n| {
            let batch =
                [Record::hand_made("503 a").with("messageId", format!("m{n}")), Record::hand_made("200 b")];
            function.begin(Invocation::new(sqs_event(&batch)))
        })
        .collect();
    let mut request_ids = BTreeMap::new();
    for (n, pending) in pending.into_iter().enumerate() {
        let answered = pending.answered().await;
        answered.expect_failed(&[format!("m{n}")]);
        request_ids.insert(format!("m{n}"), answered.request_id.clone());
    }
    assert_eq!((app.count(), function.api().faults()), (2 * INVOCATIONS, Vec::new()));

    let failures = function.logged("failed, trying again later");
    assert_eq!(failures.len(), INVOCATIONS);
    let cold_starts = failures.iter().filter(|entry| field(entry, "cold_start") == true).count();
    assert_eq!(cold_starts, 1);
    for entry in failures {
        let message_id = entry["message_id"].as_str().unwrap();
        assert_eq!(field(&entry, "request_id"), &*request_ids[message_id], "{entry}");
    }
    let acks = async || {
        let lines: Vec<Value> = function
            .stdout()
            .iter()
            .map(|line| serde_json::from_str(line).expect("a line is JSON"))
            .collect();
        let acks = lines.iter().filter(|line| line["outcome"] == "ack");
        acks.filter_map(|line| line["drumline_jobs_total"].as_f64()).sum::<f64>()
    };
    eventually("every success is counted once", async || (acks().await - 60.0).abs() < 0.1).await;
}
