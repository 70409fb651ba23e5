#![allow(clippy::unwrap_used)]
use std::num::NonZeroUsize;
use std::time::Duration;

use drumline::core::{ClosedLimit, LimitReason, SqsErrorKind, Suspects};

use super::*;

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Returns the facts about a queue with four slots and no message in hand.
fn idle(queue: &str) -> QueueActivity {
    QueueActivity {
        queue: queue.to_owned(),
        counts: Some(InHandCounts { slots: 4, ..InHandCounts::default() }),
        is_receiving: true,
        is_healthy: true,
        ..QueueActivity::default()
    }
}

fn with(change: impl FnOnce(&mut InHandCounts)) -> QueueActivity {
    let mut queue = idle("jobs");
    change(queue.counts.as_mut().unwrap());
    queue
}

fn paused(reasons: &[PauseReason]) -> QueueActivity {
    QueueActivity { pauses: reasons.to_vec(), ..idle("jobs") }
}

fn has(visible: u64, delayed: u64, in_flight: u64) -> QueueActivity {
    QueueActivity { depth: Some(QueueDepth { visible, delayed, in_flight }), ..idle("jobs") }
}

/// Returns the facts about a queue with suspects, `running` of which run alone while `waiting` wait.
fn suspected(now: Instant, running: usize, waiting: usize, counts: InHandCounts) -> QueueActivity {
    let suspects = Suspects {
        message_id: "m-1".into(),
        job_id: Some("j-1".into()),
        running,
        waiting,
        until: Some(now + Duration::from_secs(43)),
    };
    QueueActivity { suspects: Some(suspects), ..with(|c| *c = InHandCounts { slots: c.slots, ..counts }) }
}

fn fails(kind: SqsErrorKind, since: Instant) -> QueueActivity {
    QueueActivity { receive_problem: Some(ReceiveProblem { kind, text: "".into(), since }), ..idle("jobs") }
}

fn of(queues: Vec<QueueActivity>) -> WorkerActivity {
    WorkerActivity { queues, ..WorkerActivity::default() }
}

/// Returns the sentence about one queue, without its beginning.
#[track_caller]
fn clause(queue: QueueActivity, now: Instant) -> (Cause, String) {
    let explanation = of(vec![queue]).explain(now);
    let clause = explanation.sentence.strip_prefix("nothing is running: ").unwrap_or_default();
    (explanation.causes[0].1, clause.to_owned())
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table of all causes")]
fn each_cause_is_named_in_one_sentence() {
    let now = now();
    let unseen = QueueActivity { counts: None, ..idle("jobs") };
    let missing = QueueActivity { is_missing: true, ..unseen.clone() };
    let hanging = QueueActivity { is_healthy: false, ..idle("jobs") };
    let kept = QueueActivity { pauses: vec![PauseReason::OutOfResources], ..with(|c| c.for_slot = 3) };
    let unhealthy = QueueActivity {
        target_problem: Some("connection refused (111)".into()),
        ..paused(&[PauseReason::TargetUnhealthy])
    };
    let by = Some("ada@ops: bad deploy".to_owned());
    let by_ada = QueueActivity { paused_by: by, ..paused(&[PauseReason::Operator]) };
    let both = paused(&[PauseReason::StoreDown, PauseReason::Operator]);
    let no_slot = QueueActivity { is_receiving: false, ..with(|c| c.slots = 0) };
    let blocked = with(|c| (c.slots, c.for_slot) = (0, 2));
    let mixed = with(|c| (c.for_lock, c.for_group, c.settling) = (5, 2, 1));
    let fifo = QueueActivity { queue: "jobs.fifo".to_owned(), ..has(4, 0, 1) };
    let unreceived = QueueActivity { is_receiving: false, ..has(4, 0, 1) };
    let table = [
        (unseen, Cause::Starting, "jobs is about to start"),
        (missing, Cause::Missing, "jobs does not exist, and is consumed once it is created"),
        (hanging, Cause::ReceivesHang, "the receives from jobs do not end"),
        (paused(&[PauseReason::Operator]), Cause::Paused, "jobs is paused by an operator"),
        (by_ada, Cause::Paused, "jobs is paused by an operator (ada@ops: bad deploy)"),
        (
            paused(&[PauseReason::StoreDown]),
            Cause::Paused,
            "jobs is paused because the store does not answer",
        ),
        (both, Cause::Paused, "jobs is paused because the store does not answer, and by an operator"),
        (
            paused(&[PauseReason::TargetUnhealthy]),
            Cause::Paused,
            "jobs is paused because the target is unhealthy",
        ),
        (
            unhealthy,
            Cause::Paused,
            "jobs is paused because the target is unhealthy (connection refused (111))",
        ),
        (
            paused(&[PauseReason::BreakerOpen]),
            Cause::Paused,
            "jobs is paused because too many jobs in a row have failed",
        ),
        (
            kept,
            Cause::Paused,
            "jobs is paused because the process lacks memory, disk space or file descriptors, with 3 messages in hand",
        ),
        (with(|c| c.for_limit = 1), Cause::Limit, "1 message of jobs waits for a limit of its type"),
        (with(|c| c.for_lock = 5), Cause::Lock, "5 messages of jobs wait for locks"),
        (
            suspected(now, 0, 2, InHandCounts { alone: 2, ..InHandCounts::default() }),
            Cause::Alone,
            "jobs receives no other message: job j-1 (message m-1) and 1 more wait to run alone, \
             since they may have killed a process",
        ),
        (blocked, Cause::Slot, "2 messages of jobs wait for a slot, all of which other queues use"),
        (with(|c| c.for_slot = 1), Cause::Slot, "1 message of jobs waits for its start"),
        (no_slot, Cause::Slot, "jobs has no slot: other queues use all of them"),
        (
            with(|c| c.for_group = 3),
            Cause::Group,
            "3 messages of jobs wait for others of their message groups",
        ),
        (
            with(|c| c.settling = 2),
            Cause::Settling,
            "2 messages of jobs wait for SQS to confirm their outcomes",
        ),
        (
            mixed,
            Cause::Lock,
            "8 messages of jobs wait: 5 for locks, 2 for others of their message groups, \
             1 for SQS to confirm its outcome",
        ),
        (idle("jobs"), Cause::Empty, "jobs brings no message"),
        (has(0, 0, 0), Cause::Empty, "jobs is empty"),
        (has(0, 1, 0), Cause::Delayed, "jobs has no visible message, 1 is delayed"),
        (
            has(0, 0, 2),
            Cause::InFlight,
            "jobs has no visible message, 2 are in flight: with other workers, or hidden until their retry",
        ),
        (
            has(0, 3, 1),
            Cause::InFlight,
            "jobs has no visible message, 3 are delayed, \
             1 is in flight: with another worker, or hidden until its retry",
        ),
        (has(1, 0, 1), Cause::Visible, "1 message of jobs is visible, and a receive is open"),
        (unreceived, Cause::Visible, "4 messages of jobs are visible, and no receive is open for now"),
        (
            fifo,
            Cause::InFlight,
            "4 messages of jobs.fifo are visible, behind others of their message groups, which are in flight",
        ),
    ];
    for (queue, expected_cause, expected) in table {
        let text = format!("{queue:?}");
        assert_eq!(clause(queue, now), (expected_cause, expected.to_owned()), "{text}");
    }
}

#[test]
fn failing_receives_are_explained_and_quoted_only_if_allowed() {
    let now = now();
    let begun = now.checked_sub(Duration::from_secs(200)).unwrap();
    let mut texts = std::collections::BTreeSet::new();
    for kind in SqsErrorKind::ALL {
        let (cause, text) = clause(fails(kind, now), now);
        assert_eq!(cause, Cause::ReceivesFail(kind));
        assert!(text.contains("jobs") && !text.contains('('), "{text}");
        texts.insert(text);
    }
    // A receive has no receipt handle that could be invalid.
    assert_eq!(texts.len(), SqsErrorKind::ALL.len() - 1, "{texts:?}");
    let quoted = ReceiveProblem {
        kind: SqsErrorKind::Denied,
        text: "AccessDenied: arn:aws:iam::123456789012:role/w".into(),
        since: begun,
    };
    let worker = of(vec![QueueActivity { receive_problem: Some(quoted), ..idle("jobs") }]);
    let denied = "nothing is running: the worker has no permission to receive from jobs, for 3m 20s";
    let quote = " (AccessDenied: arn:aws:iam::123456789012:role/w)";
    assert_eq!(worker.explain(now).sentence, format!("{denied}{quote}"));
    assert_eq!(worker.without_quotes().explain(now).sentence, denied);
}

#[test]
fn suspects_are_named_while_they_run_alone() {
    let now = now();
    let runs = |running, alone| InHandCounts { running, alone, ..InHandCounts::default() };
    let beside = InHandCounts { for_slot: 2, for_lock: 1, settling: 4, ..runs(1, 1) };
    let unread = |mut queue: QueueActivity| {
        let suspects = queue.suspects.as_mut().unwrap();
        (suspects.job_id, suspects.until) = (None, None);
        queue
    };
    let table = [
        (
            suspected(now, 1, 0, runs(1, 0)),
            "1 job is running; jobs receives no other message: job j-1 (message m-1) runs alone for up to 43 s, \
             since it may have killed a process",
        ),
        (
            suspected(now, 3, 0, runs(3, 0)),
            "3 jobs are running; jobs receives no other message: job j-1 (message m-1) and 2 more \
             run alone for up to 43 s, since they may have killed a process",
        ),
        (
            suspected(now, 1, 1, beside),
            "1 job is running; jobs receives no other message: job j-1 (message m-1) runs alone for up to 43 s, \
             since it may have killed a process, and 4 other messages in hand wait",
        ),
        (
            suspected(now, 0, 1, runs(2, 1)),
            "2 jobs are running; jobs receives no other message: job j-1 (message m-1) waits up to 43 s for the \
             running jobs, to run alone after them, since it may have killed a process",
        ),
        (
            unread(suspected(now, 1, 0, runs(1, 0))),
            "1 job is running; jobs receives no other message: message m-1 runs alone, since it may have killed a \
             process",
        ),
    ];
    for (queue, expected) in table {
        let explanation = of(vec![queue]).explain(now);
        assert_eq!(explanation.sentence, expected);
        assert!(explanation.is_hindered(), "others wait: {expected}");
    }
    let hidden = of(vec![suspected(now, 1, 0, runs(1, 0))]).without_quotes().explain(now).sentence;
    assert!(hidden.contains(": a message runs alone") && !hidden.contains("j-1"), "{hidden}");
    let mut odd = suspected(now, 1, 0, runs(1, 0));
    odd.suspects.as_mut().unwrap().job_id = Some(format!("a\nb{}", "c".repeat(1000)).into());
    let odd = of(vec![odd]).explain(now).sentence;
    assert!(odd.contains("job a bc") && odd.len() < 400, "{odd}");
}

#[test]
fn a_client_that_may_not_read_orders_sees_no_operators_words() {
    let paused = paused(&[PauseReason::Operator]);
    let worker = of(vec![QueueActivity { paused_by: Some("ada@ops".to_owned()), ..paused }]);
    assert!(worker.explain(now()).sentence.ends_with("by an operator (ada@ops)"));
    assert!(worker.without_quotes().explain(now()).sentence.ends_with("by an operator"));
}

#[test]
fn running_jobs_are_counted_and_only_hindered_queues_are_named() {
    let now = now();
    let runs = |running| with(|counts| counts.running = running);
    let explanation = of(vec![runs(1)]).explain(now);
    assert_eq!((explanation.sentence.as_str(), explanation.running), ("1 job is running", 1));
    assert!(!explanation.is_hindered());
    let empty = QueueActivity { queue: "mail".to_owned(), ..has(0, 0, 0) };
    let stopped = QueueActivity { queue: "video".to_owned(), ..paused(&[PauseReason::Operator]) };
    let explanation = of(vec![runs(3), empty.clone(), stopped.clone()]).explain(now);
    assert_eq!(explanation.sentence, "3 jobs are running; video is paused by an operator");
    assert!(!explanation.is_hindered(), "jobs run");
    let explanation = of(vec![empty.clone(), stopped]).explain(now);
    assert_eq!(explanation.sentence, "nothing is running: mail is empty; video is paused by an operator");
    assert!(explanation.is_hindered());
    assert!(!of(vec![empty]).explain(now).is_hindered(), "an empty queue is nothing to act on");
}

#[test]
fn a_drain_is_the_cause_before_all_others() {
    let drains = |queue| WorkerActivity { is_draining: true, ..of(vec![queue]) }.explain(now());
    let table = [
        (idle("jobs"), "nothing is running: the worker drains, and receives nothing more"),
        (with(|c| c.settling = 1), "nothing is running: the worker drains, and settles 1 message"),
        (with(|c| c.running = 2), "2 jobs are running; the worker drains, and receives nothing more"),
        (
            with(|c| (c.running, c.for_slot) = (1, 4)),
            "1 job is running; the worker drains, and settles 4 messages",
        ),
        (
            paused(&[PauseReason::StoreDown]),
            "nothing is running: the worker drains, and receives nothing more",
        ),
    ];
    for (queue, expected) in table {
        let explanation = drains(queue);
        assert_eq!((explanation.sentence.as_str(), explanation.causes[0].1), (expected, Cause::Draining));
    }
}

#[test]
fn limits_are_named_behind_the_queues_and_once() {
    let now = now();
    let slow = TypeSnapshot {
        job_type: "slow".into(),
        running: 2,
        slots: NonZeroUsize::new(2),
        waiting: [(LimitReason::Concurrency, 5)].into(),
        ..TypeSnapshot::default()
    };
    let closed = ClosedLimit {
        reason: LimitReason::Throttled,
        since: now,
        until: Some(now + Duration::from_secs(12)),
        why: Some("a handler's own words".into()),
    };
    let mail = TypeSnapshot { job_type: "mail".into(), closed: vec![closed], ..TypeSnapshot::default() };
    let limited = WorkerActivity { types: vec![slow], ..of(vec![with(|c| c.for_limit = 5)]) }.explain(now);
    let sentence = "nothing is running: 5 jobs of slow wait for a slot (2 of 2 run)";
    assert_eq!((limited.sentence.as_str(), limited.is_hindered()), (sentence, true));
    let throttled = WorkerActivity { types: vec![mail], ..of(vec![has(0, 0, 0)]) }.explain(now);
    let sentence = "nothing is running: jobs is empty; mail is throttled for 12 s more";
    assert_eq!(throttled.sentence, sentence);
}

#[test]
fn the_sentence_names_a_bounded_number_of_queues() {
    let queues = (0..MAX_NAMED + 3).map(|n| QueueActivity { queue: format!("q{n}"), ..has(0, 0, 0) });
    let sentence = of(queues.collect()).explain(now()).sentence;
    assert_eq!(sentence.matches(" is empty").count(), MAX_NAMED);
    assert!(sentence.ends_with("; 3 more queues"), "{sentence}");
}

#[test]
fn the_facts_are_those_of_the_queues_status() {
    let (now, status) = (now(), QueueStatus::default());
    assert_eq!(QueueActivity::of("jobs", &status).counts, None, "no turn yet");
    status.set_missing(true);
    let refused = crate::sqs::SqsError::new(SqsErrorKind::Denied, "no");
    status.receive_failed(now, &refused);
    status.receive_failed(now + Duration::from_secs(9), &refused);
    let facts = QueueActivity::of("jobs", &status);
    assert!(facts.is_missing);
    assert_eq!(facts.receive_problem.unwrap().since, now, "the first failure's");
    status.receive_succeeded();
    assert_eq!(QueueActivity::of("jobs", &status).receive_problem, None);
}
