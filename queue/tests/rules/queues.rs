//! Creating, describing, listing, tagging, purging, deleting.

use std::collections::BTreeMap;

use drumline_queue::ErrorCode::{self, *};
use drumline_queue::api::{
    CreateQueue, GetQueueAttributes, GetQueueUrl, ListQueues, OneQueue, SetQueueAttributes, TagQueue,
    UntagQueue,
};
use drumline_queue::limits::MAX_QUEUES;

use crate::{Desk, code};

fn one(queue: &str) -> OneQueue {
    OneQueue { queue_url: queue.into() }
}

fn attributes(desk: &mut Desk, queue: &str, names: &[&str]) -> BTreeMap<String, String> {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let request = GetQueueAttributes { queue_url: queue.into(), attribute_names: names };
    desk.sqs.get_queue_attributes(desk.now, &request).unwrap().attributes
}

fn set(desk: &mut Desk, queue: &str, name: &str, value: &str) -> Result<(), drumline_queue::SqsError> {
    let attributes = [(name.to_owned(), value.to_owned())].into();
    desk.sqs.set_queue_attributes(desk.now, &SetQueueAttributes { queue_url: queue.into(), attributes })
}

#[test]
fn names() {
    let long = "a".repeat(80);
    let too_long = "a".repeat(81);
    for name in ["a", "A-b_9", long.as_str()] {
        Desk::new().create(name, &[]).unwrap();
    }
    for name in ["", "a b", "a/b", "a.b", "é", ".fifo", too_long.as_str()] {
        assert_eq!(code(Desk::new().create(name, &[])), InvalidParameterValue, "{name}");
    }
    let fifo = format!("{}.fifo", "a".repeat(75));
    Desk::new().create(&fifo, &[("FifoQueue", "true")]).unwrap();
    assert_eq!(
        code(Desk::new().create(&format!("a{fifo}"), &[("FifoQueue", "true")])),
        InvalidParameterValue
    );
    assert_eq!(code(Desk::new().create("q.fifo", &[])), InvalidParameterValue);
}

#[test]
fn attribute_values() {
    let ranges = [
        ("DelaySeconds", "0", "900", "-1", "901"),
        ("MaximumMessageSize", "1024", "1048576", "1023", "1048577"),
        ("MessageRetentionPeriod", "60", "1209600", "59", "1209601"),
        ("ReceiveMessageWaitTimeSeconds", "0", "20", "-1", "21"),
        ("VisibilityTimeout", "0", "43200", "-1", "43201"),
        ("KmsDataKeyReusePeriodSeconds", "60", "86400", "59", "86401"),
        ("SqsManagedSseEnabled", "true", "false", "yes", "TRUE"),
    ];
    let mut desk = Desk::with_queue(&[]);
    for (name, low, high, below, above) in ranges {
        for value in [low, high] {
            set(&mut desk, "q", name, value).unwrap();
            assert_eq!(attributes(&mut desk, "q", &[name])[name], value);
        }
        for value in [below, above, "x", ""] {
            assert_eq!(code(set(&mut desk, "q", name, value)), InvalidAttributeValue, "{name}={value}");
        }
    }
}

#[test]
fn attribute_names() {
    let table: &[(&str, &str, ErrorCode)] = &[
        ("Nonsense", "1", InvalidAttributeName),
        ("QueueArn", "x", InvalidAttributeName),
        ("CreatedTimestamp", "1", InvalidAttributeName),
        ("ApproximateNumberOfMessages", "1", InvalidAttributeName),
        ("ContentBasedDeduplication", "true", InvalidAttributeName),
        ("DeduplicationScope", "queue", InvalidAttributeName),
        ("FifoThroughputLimit", "perQueue", InvalidAttributeName),
        ("FifoQueue", "true", InvalidAttributeName),
    ];
    for (name, value, expected) in table {
        let mut desk = Desk::with_queue(&[]);
        assert_eq!(code(set(&mut desk, "q", name, value)), *expected, "{name}");
    }
    let mut desk = Desk::with_queue(&[]);
    let unknown = GetQueueAttributes { queue_url: "q".into(), attribute_names: vec!["Nonsense".into()] };
    assert_eq!(code(desk.sqs.get_queue_attributes(desk.now, &unknown)), InvalidAttributeName);
}

#[test]
fn fifo_attributes() {
    let fifo = ("FifoQueue", "true");
    let limit = ("FifoThroughputLimit", "perMessageGroupId");
    assert_eq!(code(Desk::new().create("q.fifo", &[("FifoQueue", "false")])), InvalidAttributeValue);
    assert_eq!(code(Desk::new().create("q.fifo", &[fifo, limit])), InvalidAttributeValue);
    Desk::new().create("q.fifo", &[fifo, limit, ("DeduplicationScope", "messageGroup")]).unwrap();
    let mut desk = Desk::with_queue(&[fifo]);
    let shown = attributes(&mut desk, "q.fifo", &["All"]);
    assert_eq!(shown["FifoQueue"], "true");
    assert_eq!(shown["ContentBasedDeduplication"], "false");
    assert_eq!(shown["DeduplicationScope"], "queue");
}

#[test]
fn defaults_are_those_of_sqs() {
    let mut desk = Desk::with_queue(&[]);
    let shown = attributes(&mut desk, "q", &["All"]);
    let expected = [
        ("ApproximateNumberOfMessages", "0"),
        ("ApproximateNumberOfMessagesDelayed", "0"),
        ("ApproximateNumberOfMessagesNotVisible", "0"),
        ("CreatedTimestamp", "1800000000"),
        ("DelaySeconds", "0"),
        ("LastModifiedTimestamp", "1800000000"),
        ("MaximumMessageSize", "1048576"),
        ("MessageRetentionPeriod", "345600"),
        ("QueueArn", "arn:aws:sqs:us-east-1:000000000000:q"),
        ("ReceiveMessageWaitTimeSeconds", "0"),
        ("SqsManagedSseEnabled", "true"),
        ("VisibilityTimeout", "30"),
    ];
    let shown: Vec<(&str, &str)> =
        shown.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(shown, expected);
    assert!(attributes(&mut desk, "q", &[]).is_empty());
    assert_eq!(attributes(&mut desk, "q", &["QueueArn"]).len(), 1);
}

#[test]
fn counts_separate_visible_delayed_and_in_flight() {
    let mut desk = Desk::with_queue(&[]);
    desk.send("q", "in flight");
    desk.receive("q");
    desk.send("q", "visible");
    desk.send("q", "visible too");
    let later = drumline_queue::api::SendMessage { delay_seconds: Some(5), ..crate::message("q", "delayed") };
    desk.try_send(later).unwrap();
    let shown = attributes(&mut desk, "q", &["All"]);
    assert_eq!(shown["ApproximateNumberOfMessages"], "2");
    assert_eq!(shown["ApproximateNumberOfMessagesDelayed"], "1");
    assert_eq!(shown["ApproximateNumberOfMessagesNotVisible"], "1");
}

#[test]
fn creating_twice_finds_the_queue_unless_attributes_contradict() {
    let mut desk = Desk::new();
    let url = desk.create("q", &[("VisibilityTimeout", "60")]).unwrap();
    assert_eq!(desk.create("q", &[("VisibilityTimeout", "60")]).unwrap(), url);
    assert_eq!(desk.create("q", &[]).unwrap(), url);
    assert_eq!(code(desk.create("q", &[("VisibilityTimeout", "61")])), QueueNameExists);
    assert_eq!(code(desk.create("q", &[("Nonsense", "61")])), InvalidAttributeName);
}

#[test]
fn a_deleted_name_is_blocked_for_a_minute() {
    let mut desk = Desk::with_queue(&[]);
    desk.sqs.delete_queue(desk.now, &one("q")).unwrap();
    assert_eq!(code(desk.sqs.delete_queue(desk.now, &one("q"))), QueueDoesNotExist);
    desk.pass(59);
    assert_eq!(code(desk.create("q", &[])), QueueDeletedRecently);
    desk.pass(1);
    desk.create("q", &[]).unwrap();
}

#[test]
fn a_purge_takes_everything_and_is_refused_for_a_minute() {
    let mut desk = Desk::with_queue(&[]);
    desk.send("q", "in flight");
    let handle = desk.receive("q")[0].receipt_handle.clone();
    desk.send("q", "visible");
    desk.sqs.purge_queue(desk.now, &one("q")).unwrap();
    assert!(desk.states("q").is_empty());
    desk.delete("q", &handle).unwrap();
    desk.pass(59);
    assert_eq!(code(desk.sqs.purge_queue(desk.now, &one("q"))), PurgeQueueInProgress);
    desk.pass(1);
    desk.sqs.purge_queue(desk.now, &one("q")).unwrap();
    desk.send("q", "after");
    assert_eq!(desk.bodies("q"), ["after"]);
}

#[test]
fn listing_goes_by_prefix_and_page() {
    let mut desk = Desk::new();
    for name in ["b2", "a", "b1", "b3"] {
        desk.create(name, &[]).unwrap();
    }
    let page = |desk: &Desk, token: Option<String>| {
        let request =
            ListQueues { queue_name_prefix: Some("b".into()), max_results: Some(2), next_token: token };
        desk.sqs.list_queues(&request).unwrap()
    };
    let first = page(&desk, None);
    assert_eq!(first.queue_urls, ["http://localhost/000000000000/b1", "http://localhost/000000000000/b2"]);
    let second = page(&desk, first.next_token);
    assert_eq!(second.queue_urls, ["http://localhost/000000000000/b3"]);
    assert_eq!(second.next_token, None);
    for max_results in [0, 1001] {
        let request = ListQueues { max_results: Some(max_results), ..Default::default() };
        assert_eq!(code(desk.sqs.list_queues(&request)), InvalidParameterValue);
    }
}

#[test]
fn urls_lead_to_their_queue_and_nowhere_else() {
    let mut desk = Desk::with_queue(&[]);
    let url = desk.sqs.get_queue_url(&GetQueueUrl { queue_name: "q".into() }).unwrap().queue_url;
    desk.send(&url, "by url");
    desk.send("q", "by name");
    assert_eq!(desk.bodies(&url), ["by url", "by name"]);
    assert_eq!(code(desk.sqs.get_queue_url(&GetQueueUrl { queue_name: "p".into() })), QueueDoesNotExist);
    assert_eq!(code(desk.try_receive(&crate::receive_up_to("p", 1))), QueueDoesNotExist);
    assert_eq!(code(desk.try_receive(&crate::receive_up_to("", 1))), QueueDoesNotExist);
}

#[test]
fn tags() {
    let mut desk = Desk::new();
    let tag = |key: String, value: String| BTreeMap::from([(key, value)]);
    let request =
        CreateQueue { queue_name: "q".into(), tags: tag("team".into(), "a".into()), ..Default::default() };
    desk.sqs.create_queue(desk.now, request).unwrap();
    let add = |desk: &mut Desk, tags| desk.sqs.tag_queue(TagQueue { queue_url: "q".into(), tags });
    add(&mut desk, tag("team".into(), "b".into())).unwrap();
    add(&mut desk, tag("k".repeat(128), "v".repeat(256))).unwrap();
    for (key, value) in [(0, 1), (129, 1), (1, 257)] {
        assert_eq!(code(add(&mut desk, tag("k".repeat(key), "v".repeat(value)))), InvalidParameterValue);
    }
    let many = (0..49).map(|n| (n.to_string(), String::new())).collect();
    assert_eq!(code(add(&mut desk, many)), InvalidParameterValue);
    let keys = vec!["k".repeat(128), "absent".into()];
    desk.sqs.untag_queue(&UntagQueue { queue_url: "q".into(), tag_keys: keys }).unwrap();
    assert_eq!(desk.sqs.list_queue_tags(&one("q")).unwrap().tags, tag("team".into(), "b".into()));
}

#[test]
fn queues_are_bounded() {
    let mut desk = Desk::new();
    for number in 0..MAX_QUEUES {
        desk.create(&number.to_string(), &[]).unwrap();
    }
    assert_eq!(code(desk.create("one-more", &[])), OverLimit);
}
