#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use super::*;
use crate::send::InDoubt;

/// Returns SQS's responses to the entries in this request, counted from 0, or the error of the whole request.
type Script = fn(usize, &[&str]) -> Result<Vec<&'static str>, SqsError>;

struct Fake {
    script: Script,
    seen: Mutex<Vec<String>>,
    takes: Duration,
}

impl Fake {
    fn new(script: Script) -> Self {
        Self { script, seen: Mutex::default(), takes: Duration::ZERO }
    }

    /// Returns the bodies of each request.
    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl TryOnce for Fake {
    async fn try_once(&self, batch: &[Outgoing]) -> Reply {
        sleep(self.takes).await;
        let bodies: Vec<&str> = batch.iter().map(|message| &*message.body).collect();
        let request = {
            let mut seen = self.seen.lock().unwrap();
            seen.push(bodies.join(" "));
            seen.len() - 1
        };
        let answers = (self.script)(request, &bodies)?;
        Ok(answers.into_iter().map(result).collect())
    }
}

fn result(answer: &str) -> Result<Taken, NotTaken> {
    let not_taken = |why| Err(NotTaken { why, text: answer.to_owned() });
    match answer {
        "taken" => Ok(Taken { message_id: String::new(), sequence_number: None }),
        "refused" => not_taken(Why::Refused),
        "missing" => not_taken(Why::InDoubt),
        _ => not_taken(Why::Unavailable),
    }
}

fn lost() -> SqsError {
    SqsError { is_in_doubt: true, ..SqsError::new(SqsErrorKind::Unreachable, "lost") }
}

fn bad_request() -> SqsError {
    SqsError::new(SqsErrorKind::Other, "InvalidParameterValue")
}

/// Returns messages with these bodies; the first letter is the group.
fn batch(bodies: &[&str]) -> Vec<Outgoing> {
    let message = |body: &&str| Outgoing {
        body: (*body).to_owned(),
        group: Some(body[..1].into()),
        ..Outgoing::default()
    };
    bodies.iter().map(message).collect()
}

const STANDARD: SendOptions = SendOptions { fifo: false, in_doubt: InDoubt::SendAgain };
const ONCE: SendOptions = SendOptions { fifo: false, in_doubt: InDoubt::Stop };
const FIFO: SendOptions = SendOptions { fifo: true, in_doubt: InDoubt::SendAgain };

/// Returns each message with the reason why it is not sent, in the order of the bodies.
fn ends(done: Vec<Done>) -> Vec<(String, Option<Why>)> {
    let mut ends: Vec<_> = done
        .into_iter()
        .map(|(message, result)| (message.body, result.err().map(|not_taken| not_taken.why)))
        .collect();
    ends.sort_by(|a, b| a.0.cmp(&b.0));
    ends
}

async fn run(fake: &Fake, options: SendOptions, bodies: &[&str]) -> Vec<(String, Option<Why>)> {
    ends(deliver(fake, options, batch(bodies)).await.unwrap())
}

fn end(body: &str, why: Option<Why>) -> (String, Option<Why>) {
    (body.to_owned(), why)
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_answer_only_a_confirmation_ends_the_doubt() {
    let fake = Fake::new(|request, _| match request {
        0 => Err(lost()),
        _ => Ok(vec!["refused", "unavailable", "taken"]),
    });
    let doubt = Some(Why::InDoubt);
    let ends = run(&fake, FIFO, &["b1", "a1", "a2"]).await;
    assert_eq!(ends, [end("a1", doubt), end("a2", None), end("b1", doubt)], "refused and overtaken ones too");

    let fake = Fake::new(|request, bodies| match request {
        0 => Err(lost()),
        _ => Ok(vec!["unavailable"; bodies.len()]),
    });
    assert_eq!(run(&fake, STANDARD, &["a1"]).await, [end("a1", doubt)]);
    assert_eq!(fake.seen().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_fifo_message_is_resent_after_a_lost_answer_by_any_option() {
    let script: Script = |request, _| if request == 0 { Err(lost()) } else { Ok(vec!["taken"]) };
    let fake = Fake::new(script);
    assert_eq!(run(&fake, SendOptions { fifo: true, ..ONCE }, &["a1"]).await, [end("a1", None)]);

    let fake = Fake::new(script);
    let stopped = deliver(&fake, ONCE, batch(&["a1"])).await.unwrap_err();
    assert!(stopped.error.is_in_doubt && stopped.left.len() == 1 && fake.seen().len() == 1);
}

#[tokio::test(start_paused = true)]
async fn a_fifo_message_in_doubt_is_resent_only_while_sqs_knows_it() {
    let begun = Instant::now();
    let fake = Fake { takes: Duration::from_secs(100), ..Fake::new(|_, _| Err(lost())) };
    assert_eq!(run(&fake, FIFO, &["a1"]).await, [end("a1", Some(Why::InDoubt))]);
    assert_eq!(fake.seen().len(), 3, "the last one begins after 200 s");
    assert!(begun.elapsed() < Duration::from_secs(330));

    let fake = Fake { takes: Duration::from_secs(100), ..Fake::new(|_, _| Err(lost())) };
    let stopped = deliver(&fake, STANDARD, batch(&["a1"])).await.unwrap_err();
    assert!(stopped.error.is_in_doubt && fake.seen().len() == 5, "a standard queue recognises none");
}

#[tokio::test(start_paused = true)]
async fn an_entry_without_an_answer_is_in_doubt() {
    let script: Script = |request, bodies| match request {
        0 => Ok(vec!["taken", "missing"]),
        _ => Ok(vec!["taken"; bodies.len()]),
    };
    let fake = Fake::new(script);
    assert_eq!(run(&fake, STANDARD, &["a1", "b1"]).await, [end("a1", None), end("b1", None)]);
    assert_eq!(fake.seen(), ["a1 b1", "b1"]);

    let fake = Fake::new(script);
    assert_eq!(run(&fake, ONCE, &["a1", "b1"]).await, [end("a1", None), end("b1", Some(Why::InDoubt))]);
    assert_eq!(fake.seen(), ["a1 b1"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_is_split_so_that_one_message_fails_alone() {
    let script: Script = |_, bodies| {
        if bodies.contains(&"b1") { Err(bad_request()) } else { Ok(vec!["taken"; bodies.len()]) }
    };
    let fake = Fake::new(script);
    let refused = Some(Why::Refused);
    let ends = run(&fake, STANDARD, &["a1", "b1", "b2"]).await;
    assert_eq!(ends, [end("a1", None), end("b1", refused), end("b2", None)]);
    assert_eq!(fake.seen(), ["a1 b1 b2", "a1", "b1", "b2"]);

    let fake = Fake::new(script);
    let ends = run(&fake, FIFO, &["a1", "b1", "b2", "c1"]).await;
    let behind = Some(Why::Unavailable);
    assert_eq!(ends, [end("a1", None), end("b1", refused), end("b2", behind), end("c1", None)]);
}

#[tokio::test(start_paused = true)]
async fn split_messages_of_a_group_keep_their_order() {
    let fake = Fake::new(|request, bodies| match (request, bodies) {
        (0, _) => Err(bad_request()),
        (1, _) => Ok(vec!["unavailable"]),
        _ => Ok(vec!["taken"]),
    });
    let ends = run(&fake, FIFO, &["a1", "a2", "b1"]).await;
    assert!(ends.iter().all(|(_, why)| why.is_none()), "{ends:?}");
    assert_eq!(fake.seen(), ["a1 a2 b1", "a1", "b1", "a1", "a2"]);
}

#[tokio::test(start_paused = true)]
async fn an_error_after_a_lost_entry_stops_with_that_entry_alone() {
    let fake = Fake::new(|request, _| match request {
        0 => Ok(vec!["taken", "missing", "unavailable"]),
        _ => Err(SqsError::new(SqsErrorKind::Denied, "AccessDenied")),
    });
    let stopped = deliver(&fake, STANDARD, batch(&["a1", "b1", "c1"])).await.unwrap_err();
    assert!(stopped.error.is_in_doubt);
    assert_eq!(stopped.left.iter().map(|message| &*message.body).collect::<Vec<_>>(), ["b1"]);
    assert_eq!(ends(stopped.done), [end("a1", None), end("c1", Some(Why::Unavailable))]);

    let fake = Fake::new(|_, _| Err(SqsError::new(SqsErrorKind::Denied, "AccessDenied")));
    let stopped = deliver(&fake, STANDARD, batch(&["a1", "b1"])).await.unwrap_err();
    assert!(!stopped.error.is_in_doubt && stopped.done.is_empty() && stopped.left.len() == 2);
}

#[test]
fn a_message_is_retried_only_if_none_of_its_group_overtook_it() {
    let table = [
        ("a", "unavailable", Some(Why::Overtaken)),
        ("b", "unavailable", Some(Why::Unavailable)),
        ("a", "refused", Some(Why::Refused)),
        ("a", "missing", Some(Why::Overtaken)),
        ("a", "taken", None),
        ("b", "missing", Some(Why::InDoubt)),
        ("a", "unavailable", Some(Why::Unavailable)),
    ];
    let batch = batch(&table.map(|(group, ..)| group));
    let mut results: Vec<_> = table.iter().map(|(_, answer, _)| result(answer)).collect();
    give_up_overtaken(batch.iter(), &mut results);
    let found: Vec<_> = results.into_iter().map(|result| result.err().map(|error| error.why)).collect();
    assert_eq!(found, table.map(|(_, _, expected)| expected));
}
