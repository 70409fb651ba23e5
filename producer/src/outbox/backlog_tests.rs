//! Jobs that come again while their conclusions are on their way.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::BehaviorVersion;
use drumline::core::Jitter;
use drumline_store::outbox::{Lease, OutboxJob, TakenJob};
use tokio::time::Instant;

use super::arrived::{Arrived, Preparation};
use super::backlog::Backlog;
use super::deadline::Deadline;
use super::observer::FailureClass;
use crate::pack::Outgoing;
use crate::target_queue::TargetQueue;

const LEASE: Duration = Duration::from_secs(30);

fn arrived(now: Instant, fencing_token: i64, preparation: Preparation) -> Arrived {
    let taken = TakenJob::new(OutboxJob::new("1", "work", "{}"), Lease::new("relay", fencing_token, LEASE), 0);
    Arrived { taken, deadline: Deadline::of(now, LEASE), preparation }
}

fn ready() -> Preparation {
    let config = aws_sdk_sqs::Config::builder().behavior_version(BehaviorVersion::latest());
    let queue = TargetQueue::new(Client::from_conf(config.build()), "https://sqs.test/1/jobs".to_owned());
    Preparation::Ready(queue, Outgoing::default())
}

/// Returns the number of requests that leave after a job was put back, was taken again, and only then its conclusion was confirmed.
fn departures(lease_then: i64) -> usize {
    let (now, jitter) = (Instant::now(), Jitter::new(0));
    let mut backlog = Backlog::default();
    let not_now = Preparation::NotNow { class: FailureClass::Unreachable };
    backlog.accept(now, vec![arrived(now, 1, not_now)], jitter);
    let concluded = backlog.take_conclusions();
    assert_eq!((concluded.len(), backlog.in_hand()), (1, 1));
    backlog.accept(now, vec![arrived(now, lease_then, ready())], jitter);
    assert!(backlog.next_departure(now).is_none(), "the outbox may have taken it back since");
    assert_eq!(backlog.in_hand(), 1);
    backlog.confirmed(now, &concluded, true, jitter);
    let departures = std::iter::from_fn(|| backlog.next_departure(now)).count();
    assert_eq!(backlog.in_hand(), departures);
    departures
}

#[test]
fn a_job_that_was_put_back_and_taken_again_leaves_once_the_one_is_confirmed() {
    assert_eq!(departures(2), 1);
}

#[test]
fn a_job_that_was_taken_again_before_it_was_put_back_does_not_leave() {
    assert_eq!(departures(1), 0);
}
