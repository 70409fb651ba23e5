//! The producer while SQS fails: per entry, as a whole, and with lost responses.

use std::collections::{BTreeMap, BTreeSet};

use drumline_producer::{InDoubt, ProduceError, Producer};
use drumline_tests::{Fault, LocalQueue, Proxy, client};
use serde_json::Value;

use crate::producing::{note, queue};

const SEND: &str = "SendMessageBatch";

async fn start(fifo: bool) -> (LocalQueue, Proxy, Producer) {
    let queue = queue(fifo).await;
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    let producer = Producer::new(client(&proxy.url()), &queue.url);
    (queue, proxy, producer)
}

/// Returns the number of messages of each job in the queue, by its ID.
fn jobs_of(queue: &LocalQueue) -> BTreeMap<String, usize> {
    let mut jobs = BTreeMap::new();
    for message in queue.endpoint().peek(&queue.url).unwrap() {
        let body: Value = serde_json::from_str(&message.body).unwrap();
        *jobs.entry(body["jobId"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    jobs
}

#[tokio::test]
async fn entries_that_fail_in_passing_are_sent_again_and_no_others() {
    for fault in
        [Fault::LastEntryFails, Fault::EntriesFail, Fault::Throttled, Fault::Internal, Fault::Dropped]
    {
        let (queue, proxy, producer) = start(true).await;
        proxy.fail(SEND, fault, 2);
        let all = (0..25).map(|n| producer.send(&note(format!("{n}"))).group("g"));
        let receipts = producer.send_all(all).await.unwrap();
        let sent: BTreeSet<String> = receipts.into_iter().map(|receipt| receipt.job_id).collect();
        assert_eq!(sent.len(), 25, "{fault:?}");
        let there = jobs_of(&queue);
        assert!(there.values().all(|count| *count == 1), "{fault:?}: {there:?}");
        assert_eq!(there.into_keys().collect::<BTreeSet<_>>(), sent, "{fault:?}");
        assert_eq!(proxy.count(SEND), 5, "{fault:?}: three batches, and two tries more");
    }
}

#[tokio::test]
async fn entries_that_sqs_refuses_are_reported_one_by_one() {
    let (queue, proxy, producer) = start(false).await;
    proxy.fail(SEND, Fault::EntriesRefused, 1);
    let all = (0..13).map(|n| producer.send(&note(format!("{n}"))));
    let failure = producer.send_all(all).await.unwrap_err();
    // Batches to a standard queue are sent concurrently: either may have been first.
    let (failed, sent) = (failure.failed.len(), failure.sent.len());
    assert!(failed == 10 || failed == 3, "{failure}");
    assert_eq!((failed + sent, queue.count()), (13, sent));
    for job in &failure.failed {
        let ProduceError::RefusedBySqs(unsent) = &job.error else { panic!("{:?}", job.error) };
        assert_eq!((&*unsent.queue, &*unsent.reason), ("jobs", "InternalError: made to fail"));
        assert_eq!(unsent.job_id, job.prepared.as_ref().unwrap().job_id());
        assert!(!job.error.is_transient());
    }
    assert!(
        failure
            .to_string()
            .starts_with(&format!("{failed} of 13 jobs were not sent; the first, at position "))
    );
    // Sent again, they are the same jobs.
    let ids: BTreeSet<String> = failure.sent.iter().map(|(_, receipt)| receipt.job_id.clone()).collect();
    let again = producer.send_prepared(failure.into_prepared()).await.unwrap();
    let ids: BTreeSet<String> = again.into_iter().map(|receipt| receipt.job_id).chain(ids).collect();
    assert_eq!(jobs_of(&queue).into_keys().collect::<BTreeSet<_>>(), ids);
    assert_eq!(ids.len(), 13);
}

#[tokio::test]
async fn after_a_lost_answer_a_fifo_queue_has_each_job_once() {
    let (queue, proxy, producer) = start(true).await;
    proxy.fail(SEND, Fault::AnswerLost, 2);
    let all = (0..10).map(|n| producer.send(&note(format!("{n}"))).group("g"));
    assert_eq!(producer.send_all(all).await.unwrap().len(), 10);
    assert_eq!(jobs_of(&queue).into_values().collect::<Vec<_>>(), [1; 10]);
    assert_eq!(proxy.count(SEND), 3);
}

#[tokio::test]
async fn after_a_lost_response_a_job_may_be_queued_twice_with_one_id() {
    let (queue, proxy, producer) = start(false).await;
    proxy.fail(SEND, Fault::AnswerLost, 1);
    let receipt = producer.send(&note("twice")).await.unwrap();
    assert_eq!(jobs_of(&queue), [(receipt.job_id, 2)].into());
}

#[tokio::test]
async fn a_lost_answer_can_be_left_in_doubt() {
    let (queue, proxy, producer) = start(false).await;
    let producer = producer.in_doubt(InDoubt::Stop);
    proxy.fail(SEND, Fault::AnswerLost, 1);
    let all = (0..3).map(|n| producer.send(&note(format!("{n}"))));
    let failure = producer.send_all(all).await.unwrap_err();
    assert!(failure.failed.iter().all(|job| matches!(job.error, ProduceError::InDoubt(_))));
    let text = failure.to_string();
    assert!(
        text.starts_with("0 of 3 jobs were not sent, and 3 may have been; the first, at position 0: job 0"),
        "{text}"
    );
    assert!(text.contains("workers run an id once"), "{text}");
    assert_eq!((queue.count(), proxy.count(SEND)), (3, 1));
    let receipts = producer.send_prepared(failure.into_prepared()).await.unwrap();
    assert_eq!(receipts.len(), 3);
    assert_eq!(jobs_of(&queue).into_values().collect::<Vec<_>>(), [2; 3], "each by its one id");
}

#[tokio::test]
async fn what_sqs_does_not_let_in_can_be_sent_later() {
    let (queue, proxy, producer) = start(false).await;
    proxy.fail(SEND, Fault::Denied, 1);
    let prepared = producer.prepare(&note("later")).unwrap();
    let failure = producer.send_prepared([prepared.clone()]).await.unwrap_err();
    let error = &failure.failed[0].error;
    assert!(matches!(error, ProduceError::Unavailable(_)) && error.is_transient(), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("is not in jobs, and can be sent again: SendMessageBatch: AccessDenied"), "{text}");
    assert_eq!((queue.count(), proxy.count(SEND)), (0, 1), "no try more could help");
    let receipts = producer.send_prepared([prepared.clone()]).await.unwrap();
    assert_eq!((&*receipts[0].job_id, queue.count()), (prepared.job_id(), 1));
}

#[tokio::test]
async fn no_job_overtakes_an_unsent_one_of_its_fifo_group() {
    let (queue, proxy, producer) = start(true).await;
    proxy.fail(SEND, Fault::EntriesRefused, 1);
    // Ten of the group a, which are refused, then three of each.
    let groups = std::iter::repeat_n("a", 10).chain(["a", "b", "a", "b", "a", "b"]);
    let all = groups.enumerate().map(|(n, group)| producer.send(&note(format!("{n}"))).group(group));
    let failure = producer.send_all(all).await.unwrap_err();
    let positions: Vec<usize> = failure.failed.iter().map(|job| job.position).collect();
    assert_eq!(positions, (0..10).chain([10, 12, 14]).collect::<Vec<_>>());
    let late = &failure.failed[10].error;
    assert!(late.to_string().contains("an earlier job of its group a was not sent"), "{late}");
    assert_eq!((queue.count(), proxy.count(SEND)), (3, 2));
    producer.send_prepared(failure.into_prepared()).await.unwrap();
    let mut messages = queue.endpoint().peek(&queue.url).unwrap();
    messages.retain(|message| message.message_group_id.as_deref() == Some("a"));
    messages.sort_by(|a, b| a.sequence_number.cmp(&b.sequence_number));
    let texts = messages.iter().map(|message| {
        let body: Value = serde_json::from_str(&message.body).unwrap();
        body["payload"]["text"].as_str().unwrap().parse::<usize>().unwrap()
    });
    assert_eq!(texts.collect::<Vec<_>>(), (0..10).chain([10, 12, 14]).collect::<Vec<_>>(), "in order");
}

#[tokio::test]
async fn an_overtaken_fifo_job_is_reported_and_not_sent_behind_others() {
    let (queue, proxy, producer) = start(true).await;
    proxy.fail(SEND, Fault::FirstEntryFails, 1);
    let all = (0..12).map(|n| producer.send(&note(format!("{n}"))).group("g"));
    let failure = producer.send_all(all).await.unwrap_err();
    let positions: Vec<usize> = failure.failed.iter().map(|job| job.position).collect();
    assert_eq!(positions, [0, 10, 11], "the first, and those of the next batch");
    let text = failure.failed[0].error.to_string();
    assert!(text.contains("later jobs of its group are in the queue"), "{text}");
    assert_eq!((queue.count(), proxy.count(SEND)), (9, 1));

    // Jobs of other groups have overtaken none.
    let (queue, proxy, producer) = start(true).await;
    proxy.fail(SEND, Fault::FirstEntryFails, 1);
    let all = (0..10).map(|n| producer.send(&note(format!("{n}"))).group(format!("g{n}")));
    assert_eq!(producer.send_all(all).await.unwrap().len(), 10);
    assert_eq!((queue.count(), proxy.count(SEND)), (10, 2));
}
