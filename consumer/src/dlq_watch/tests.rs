#![allow(clippy::unwrap_used)]
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use drumline::core::SqsErrorKind;
use drumline::message::{Attribute, Message};
use drumline_dlq::letter_id::LetterId;
use drumline_runtime::{BoxFuture, SqsError};

use super::*;
use crate::dlq_watch::causes::LetterJob;
use crate::dlq_watch::failures::failures_of_a_test;

const ARN: &str = "arn:aws:sqs:eu-west-1:123456789012:jobs-dlq";

/// A DLQ whose requests are counted.
#[derive(Default)]
struct Counted {
    letters: Mutex<Vec<Message>>,
    depths: AtomicUsize,
    looks: AtomicUsize,
    is_down: Mutex<bool>,
    has_redrive_policy: bool,
}

impl DeadLetters for Counted {
    fn depth(&self) -> BoxFuture<Result<Depth, SqsError>> {
        self.depths.fetch_add(1, SeqCst);
        let letters = self.letters.lock().unwrap().len() as u64;
        let depth = Depth { letters, has_redrive_policy: self.has_redrive_policy };
        let is_down = *self.is_down.lock().unwrap();
        let depth =
            if is_down { Err(SqsError::new(SqsErrorKind::Unreachable, "no route")) } else { Ok(depth) };
        Box::pin(async { depth })
    }

    fn look(&self, most: usize) -> BoxFuture<Result<Vec<Message>, SqsError>> {
        self.looks.fetch_add(1, SeqCst);
        let letters = self.letters.lock().unwrap().iter().take(most).cloned().collect();
        Box::pin(async { Ok(letters) })
    }
}

struct NoHistory;

impl LetterHistory for NoHistory {
    fn of<'a>(&'a self, _: &'a Letter) -> LetterJob<'a> {
        Box::pin(async { None })
    }
}

fn letter(id: usize, reason: &str) -> Message {
    let mut letter = Message {
        id: format!("m-{id}").into(),
        body: r#"{"type":"email.send","payload":{"secret":"s3cret"}}"#.to_owned(),
        receive_count: 3,
        ..Message::default()
    };
    letter.attributes.insert("DrumlineReason".to_owned(), Attribute::text(reason));
    letter
}

fn death(reason: &str) -> Death {
    Death {
        message: LetterId::of("m-1"),
        origin: Some("jobs".to_owned()),
        job_type: Some("email.send".to_owned()),
        class: Some("rejected".to_owned()),
        reason: reason.to_owned(),
    }
}

/// A watch and the texts of its alerts.
fn watch(queue: &Arc<Counted>) -> (DlqWatch, Arc<Mutex<Vec<String>>>) {
    let alerts = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&alerts);
    let letters = Arc::clone(queue) as Arc<dyn DeadLetters>;
    let watch = DlqWatch::new("jobs-dlq", letters, Arc::new(NoHistory), Intake::default(), true)
        .on_alert(move |alert| seen.lock().unwrap().push(alert.text()));
    (watch, alerts)
}

/// Runs a watch for so many minutes.
async fn minutes(watch: DlqWatch, minutes: u64) {
    watch.run(tokio::time::sleep(Duration::from_secs(60 * minutes))).await;
}

#[tokio::test(start_paused = true)]
async fn while_nothing_dies_it_makes_fewer_than_five_requests_a_minute() {
    let queue = Arc::new(Counted::default());
    let store: Arc<dyn drumline_store::Store> =
        Arc::new(drumline_store::MemoryStore::new("w".into(), drumline_store::Retention::default()));
    let (watch, alerts) = watch(&queue);
    minutes(watch.shared(&store, ARN), 60).await;
    let requests = queue.depths.load(SeqCst) + queue.looks.load(SeqCst);
    // Each turn renews the claim in the store, too.
    assert!(2 * requests < 5 * 60, "{requests}");
    assert!(requests >= 60, "{requests}");
    assert!(alerts.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_letters_is_one_alert() {
    let queue = Arc::new(Counted::default());
    *queue.letters.lock().unwrap() = (0..30).map(|id| letter(id, &format!("no user {id}"))).collect();
    let (watch, alerts) = watch(&queue);
    minutes(watch, 10).await;
    let alerts = alerts.lock().unwrap();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert!(alerts[0].starts_with("jobs-dlq: 30 new dead letters, email.send: no user <n> ("), "{alerts:?}");
    assert!(!alerts[0].contains("s3cret"));
    assert_eq!(queue.looks.load(SeqCst), 1, "nothing came after the first look");
}

#[tokio::test(start_paused = true)]
async fn a_dlq_with_a_redrive_policy_is_not_looked_into_unless_it_is_asked_for() {
    for (may_move, looks) in [(false, 0), (true, 1)] {
        let queue = Arc::new(Counted { has_redrive_policy: true, ..Counted::default() });
        queue.letters.lock().unwrap().push(letter(1, "no user 1"));
        let (watch, _) = watch(&queue);
        let watch = if may_move { watch.may_move_letters() } else { watch };
        minutes(watch, 5).await;
        assert_eq!(queue.looks.load(SeqCst), looks);
    }
}

#[tokio::test(start_paused = true)]
async fn one_of_two_workers_reports_and_the_other_takes_over() {
    let store: Arc<dyn drumline_store::Store> =
        Arc::new(drumline_store::MemoryStore::new("w".into(), drumline_store::Retention::default()));
    let queue = Arc::new(Counted::default());
    queue.letters.lock().unwrap().push(letter(1, "no user 1"));
    let (one, first) = watch(&queue);
    let (two, second) = watch(&queue);
    let two = tokio::spawn(minutes(two.shared(&store, ARN), 10));
    minutes(one.shared(&store, ARN), 5).await;
    let reported = || first.lock().unwrap().len() + second.lock().unwrap().len();
    assert_eq!(reported(), 1);
    queue.letters.lock().unwrap().extend([letter(2, "no user 2"), letter(3, "too late")]);
    two.await.unwrap();
    assert_eq!(reported(), 2, "the fingerprint that was reported is known: {first:?} {second:?}");
    assert!(second.lock().unwrap().last().unwrap().contains("too late"));
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_does_not_answer_is_asked_again() {
    let queue = Arc::new(Counted::default());
    queue.letters.lock().unwrap().push(letter(1, "no user 1"));
    *queue.is_down.lock().unwrap() = true;
    let (watch, alerts) = watch(&queue);
    let running = tokio::spawn(minutes(watch, 10));
    tokio::time::sleep(Duration::from_secs(5 * 60)).await;
    assert!(alerts.lock().unwrap().is_empty());
    *queue.is_down.lock().unwrap() = false;
    running.await.unwrap();
    assert_eq!(alerts.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_leader_knows_the_failures_of_other_workers_without_a_look() {
    let store: Arc<dyn drumline_store::Store> =
        Arc::new(drumline_store::MemoryStore::new("w".into(), drumline_store::Retention::default()));
    let queue = Arc::new(Counted::default());
    let (leader, alerts) = watch(&queue);
    let (other, none) = watch(&queue);
    let (sender, failures) = failures_of_a_test();
    let leading = tokio::spawn(minutes(leader.shared(&store, ARN), 10));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let other = tokio::spawn(minutes(other.shared(&store, ARN).failures(failures), 9));
    for id in 0..20 {
        let death = Death { message: LetterId::of(&format!("m-{id}")), ..death(&format!("no user {id}")) };
        sender.send(death).await.unwrap();
        queue.letters.lock().unwrap().push(letter(id, "unread"));
    }
    leading.await.unwrap();
    other.await.unwrap();
    assert_eq!(queue.looks.load(SeqCst), 0);
    let alerts = alerts.lock().unwrap();
    assert!(
        alerts.len() == 1 && alerts[0].contains("20 new dead letters, email.send rejected: no user <n>"),
        "{alerts:?}"
    );
    assert!(none.lock().unwrap().is_empty());
}
