#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use drumline::core::SqsErrorKind;
use drumline::message::{Attribute, Message};
use drumline::run::{DeadJob, DeadJobHook};
use drumline_dlq::letter_id::LetterId;
use drumline_runtime::{BoxFuture, SqsError};

use super::*;
use crate::dlq_watch::causes::LetterJob;
use crate::dlq_watch::failures::failures_of_a_test;
use crate::dlq_watch::letters::WantsMore;

const ARN: &str = "arn:aws:sqs:eu-west-1:123456789012:jobs-dlq";

/// A DLQ that counts its requests.
#[derive(Default)]
struct Counted {
    letters: Mutex<Vec<Message>>,
    depths: AtomicUsize,
    looks: AtomicUsize,
    is_down: Mutex<bool>,
    is_refused: Mutex<bool>,
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

    fn look(&self, most: usize, mut wants_more: WantsMore) -> BoxFuture<Result<Vec<Message>, SqsError>> {
        self.looks.fetch_add(1, SeqCst);
        if *self.is_refused.lock().unwrap() {
            return Box::pin(async { Err(SqsError::new(SqsErrorKind::Unreachable, "no access")) });
        }
        let mut letters: Vec<Message> = Vec::new();
        for batch in self.letters.lock().unwrap().chunks(10) {
            letters.extend_from_slice(batch);
            if letters.len() >= most || !wants_more(batch) {
                break;
            }
        }
        Box::pin(async { Ok(letters) })
    }
}

struct NoHistory;

impl LetterHistory for NoHistory {
    fn of<'a>(&'a self, _: &'a Letter) -> LetterJob<'a> {
        Box::pin(async { Ok(None) })
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

/// Returns a watch and the texts of its alerts.
fn watch(queue: &Arc<Counted>) -> (DlqWatch, Arc<Mutex<Vec<String>>>) {
    let alerts = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&alerts);
    let letters = Arc::clone(queue) as Arc<dyn DeadLetters>;
    let watch = DlqWatch::new("jobs-dlq", letters, Arc::new(NoHistory), Intake::default(), true)
        .on_alert(move |alert| seen.lock().unwrap().push(alert.text()));
    (watch, alerts)
}

/// Runs a watch for `minutes` minutes.
async fn minutes(watch: DlqWatch, minutes: u64) {
    watch.run(tokio::time::sleep(Duration::from_secs(60 * minutes))).await;
}

#[tokio::test(start_paused = true)]
async fn without_dead_jobs_it_makes_fewer_than_five_requests_a_minute() {
    let queue = Arc::new(Counted::default());
    let store: Arc<dyn drumline_store::Store> =
        Arc::new(drumline_store::MemoryStore::new("w".into(), drumline_store::Retention::default()));
    let (watch, alerts) = watch(&queue);
    minutes(watch.shared(&store, ARN), 60).await;
    let requests = queue.depths.load(SeqCst) + queue.looks.load(SeqCst);
    // Each turn also renews the claim in the store.
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
async fn a_dlq_with_a_redrive_policy_is_looked_into_only_on_request() {
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
async fn the_leader_knows_other_workers_failures_without_a_look() {
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

/// Returns a worker's watch, which reports no old letters, and the texts of its alerts.
fn worker(
    queue: &Arc<Counted>,
    store: &Arc<dyn drumline_store::Store>,
) -> (DlqWatch, Arc<Mutex<Vec<String>>>) {
    let alerts = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&alerts);
    let letters = Arc::clone(queue) as Arc<dyn DeadLetters>;
    let watch = DlqWatch::new("jobs-dlq", letters, Arc::new(NoHistory), Intake::default(), false)
        .on_alert(move |alert| seen.lock().unwrap().push(alert.text()))
        .shared(store, ARN);
    (watch, alerts)
}

#[tokio::test(start_paused = true)]
async fn a_restart_reports_what_died_around_it_and_no_old_letter() {
    let store: Arc<dyn drumline_store::Store> =
        Arc::new(drumline_store::MemoryStore::new("w".into(), drumline_store::Retention::default()));
    let queue = Arc::new(Counted::default());
    *queue.letters.lock().unwrap() = (0..6).map(|id| letter(id, &format!("no user {id}"))).collect();
    let (sender, failures) = failures_of_a_test();
    let (first, none) = worker(&queue, &store);
    let first = tokio::spawn(first.failures(failures).run(tokio::time::sleep(Duration::from_secs(8))));
    tokio::time::sleep(Duration::from_secs(4)).await;
    // A death after its first and only turn.
    let died = Death { message: LetterId::of("m-77"), ..death("bad deploy") };
    sender.send(died).await.unwrap();
    first.await.unwrap();
    assert!(none.lock().unwrap().is_empty());
    queue.letters.lock().unwrap().extend([letter(77, "unread"), letter(78, "between")]);
    let (second, alerts) = worker(&queue, &store);
    minutes(second, 180).await;
    let alerts = alerts.lock().unwrap();
    assert_eq!(alerts.len(), 2, "{alerts:?}");
    for reason in
        ["1 new dead letter, email.send rejected: bad deploy", "1 new dead letter, email.send: between"]
    {
        assert!(alerts.iter().any(|alert| alert.contains(reason)), "{alerts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_does_not_lead_shares_its_failures_at_its_end() {
    let store: Arc<dyn drumline_store::Store> =
        Arc::new(drumline_store::MemoryStore::new("w".into(), drumline_store::Retention::default()));
    let queue = Arc::new(Counted::default());
    let (leader, alerts) = worker(&queue, &store);
    let leading = tokio::spawn(minutes(leader, 5));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (sender, failures) = failures_of_a_test();
    let (other, _) = worker(&queue, &store);
    let other = tokio::spawn(other.failures(failures).run(tokio::time::sleep(Duration::from_secs(8))));
    tokio::time::sleep(Duration::from_secs(4)).await;
    sender.send(death("no user 1")).await.unwrap();
    other.await.unwrap();
    queue.letters.lock().unwrap().push(letter(1, "unread"));
    leading.await.unwrap();
    let alerts = alerts.lock().unwrap();
    assert!(alerts.len() == 1 && alerts[0].contains("rejected: no user <n>"), "{alerts:?}");
    assert_eq!(queue.looks.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refused_look_is_made_once_a_minute_and_is_one_problem() {
    let queue = Arc::new(Counted::default());
    queue.letters.lock().unwrap().push(letter(1, "no user 1"));
    *queue.is_refused.lock().unwrap() = true;
    let (watch, alerts) = watch(&queue);
    let problems = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&problems);
    let watch = watch
        .timing(Duration::from_secs(1), QUIET)
        .on_problem(move |problem| seen.lock().unwrap().push(problem.to_owned()));
    let running = tokio::spawn(minutes(watch, 7));
    tokio::time::sleep(Duration::from_secs(5 * 60)).await;
    let looks = queue.looks.load(SeqCst);
    assert!((4..=6).contains(&looks), "{looks}");
    *queue.is_refused.lock().unwrap() = false;
    running.await.unwrap();
    let problems = problems.lock().unwrap();
    assert!(problems.len() == 1 && problems[0].starts_with("DLQ not readable: "), "{problems:?}");
    assert_eq!(alerts.lock().unwrap().len(), 1);
}

/// A history without answers to the first questions.
struct LateHistory(AtomicUsize);

impl LetterHistory for LateHistory {
    fn of<'a>(&'a self, _: &'a Letter) -> LetterJob<'a> {
        let left = self.0.load(SeqCst);
        self.0.store(left.saturating_sub(1), SeqCst);
        Box::pin(async move { if left > 0 { Err("no route".to_owned()) } else { Ok(None) } })
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_without_histories_is_made_again_three_times() {
    for (unanswered, looks) in [(2, 3), (100, 4)] {
        let queue = Arc::new(Counted::default());
        queue.letters.lock().unwrap().push(letter(1, "no user 1"));
        let alerts = Arc::new(Mutex::new(0));
        let seen = Arc::clone(&alerts);
        let letters = Arc::clone(&queue) as Arc<dyn DeadLetters>;
        let history = Arc::new(LateHistory(unanswered.into()));
        let watch = DlqWatch::new("jobs-dlq", letters, history, Intake::default(), true)
            .on_alert(move |_| *seen.lock().unwrap() += 1);
        minutes(watch, 10).await;
        assert_eq!((queue.looks.load(SeqCst), *alerts.lock().unwrap()), (looks, 1), "{unanswered}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_letter_whose_hook_fails_has_no_other_hook_called_again() {
    let store: Arc<dyn drumline_store::Store> =
        Arc::new(drumline_store::MemoryStore::new("w".into(), drumline_store::Retention::default()));
    let queue = Arc::new(Counted::default());
    // More than the store keeps marks.
    *queue.letters.lock().unwrap() = (0..300).map(|id| letter(id, "killed")).collect();
    let calls = Arc::new(Mutex::new(BTreeMap::<String, usize>::new()));
    let counted = Arc::clone(&calls);
    let hook = DeadJobHook::new(move |job: DeadJob| {
        let result = if job.key == "dead:m-7" { Err("no route") } else { Ok(()) };
        *counted.lock().unwrap().entry(job.key).or_default() += 1;
        std::future::ready(result)
    });
    let (watch, _) = watch(&queue);
    minutes(watch.dead_jobs(Some(DeadJobs::new(hook, Some(store)))), 30).await;
    let mut calls = calls.lock().unwrap();
    let failed = calls.remove("dead:m-7").unwrap();
    assert!(failed > 3, "{failed} calls, three in each look");
    assert!(queue.looks.load(SeqCst) > 1);
    assert_eq!(calls.len(), 299);
    assert!(calls.values().all(|count| *count == 1), "{calls:?}");
}
