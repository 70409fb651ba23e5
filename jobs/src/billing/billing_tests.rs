#![allow(clippy::unwrap_used)]

use std::time::Duration;

use drumline::Router;
use drumline::core::{CancelReason, Ending};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::answer::AMBIGUOUS;
use crate::settings::{BILLING_TIMEOUT, BILLING_TOKEN, BILLING_URL};
use crate::testing::{self, At, TestMessage, result};
use crate::web::{Act, TestServer};
use crate::{InvalidSetting, Settings};

const TOKEN: &str = "sk_very_secret";

const PAID: Act = Act::Answer("201 Created", "", r#"{"id":"ch_1","status":"succeeded"}"#);

/// A provider with scripted reactions.
struct Provider {
    url: String,
    server: TestServer,
}

impl Provider {
    async fn new(acts: &'static [Act]) -> Self {
        let server = TestServer::new(acts).await;
        Self { url: format!("http://{}/v1/charges?key={TOKEN}", server.address), server }
    }

    fn router(&self, more: &[(&str, &str)]) -> Router {
        let more: Vec<_> =
            [(BILLING_URL, &*self.url), (BILLING_TOKEN, TOKEN)].iter().chain(more).copied().collect();
        router(&more).unwrap()
    }

    async fn request(&mut self) -> String {
        self.server.request().await
    }
}

fn router(values: &[(&str, &str)]) -> Result<Router, Vec<InvalidSetting>> {
    let lookup =
        |name: &str| values.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    Settings::from_lookup(lookup).map(|settings| crate::router(&settings))
}

fn charge() -> Value {
    json!({
        "chargeId": "inv-2026-42", "customerId": "c-7", "amount": 1999, "currency": "EUR", "description": "Snare",
    })
}

fn job(router: Router) -> TestMessage {
    testing::tester(router).payload("billing.charge", &charge())
}

async fn run(router: Router) -> Ending {
    job(router).await.ending().clone()
}

/// Returns the reason of a retry without its own delay.
fn retried(ending: Ending) -> String {
    let Ending::RetryAsked { after: None, reason } = ending else { panic!("{ending:?}") };
    assert!(!reason.contains(TOKEN), "{reason}");
    reason
}

#[tokio::test]
async fn a_charge_is_sent_and_its_result_kept() {
    let mut provider = Provider::new(&[PAID]).await;
    let run = job(provider.router(&[])).await;
    assert!(run.is_done(), "{run}");
    assert_eq!(result(&run), json!({ "providerId": "ch_1" }));
    let request = run.claim_request().unwrap();
    assert_eq!(&**request.identity.id(), "charge:inv-2026-42");
    assert_eq!(request.lock.as_deref(), Some("customer:c-7"));

    let request = provider.request().await;
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /v1/charges?"), "{head}");
    for line in [
        "content-type: application/json",
        "idempotency-key: charge:inv-2026-42",
        "authorization: Bearer sk_very_secret",
    ] {
        assert!(head.lines().any(|found| found == line), "{line} in {head}");
    }
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), charge());
}

#[tokio::test]
async fn every_attempt_has_the_same_key() {
    let act = &[Act::Answer("503 Busy", "", ""), Act::HangUp, Act::BreakOff, PAID];
    let mut provider = Provider::new(act).await;
    let tester = testing::tester(provider.router(&[]));
    let mut keys = Vec::new();
    for number in 1..=4 {
        let run = tester.payload("billing.charge", &charge()).await;
        assert_eq!((run.attempt(), run.is_done()), (number, number == 4), "{run}");
        let request = provider.request().await;
        keys.extend(request.lines().find(|line| line.starts_with("idempotency-key: ")).map(str::to_owned));
    }
    assert_eq!(keys, ["idempotency-key: charge:inv-2026-42"; 4]);
}

#[tokio::test]
async fn the_providers_answer_decides() {
    let done: &[Act] = &[PAID];
    let declined: &[Act] = &[Act::Answer("402 Payment Required", "", r#"{"reason":"no funds"}"#)];
    let declined_softly: &[Act] =
        &[Act::Answer("200 OK", "", r#"{"status":"declined","reason":"no funds"}"#)];
    let refused: &[Act] =
        &[Act::Answer("422 Unprocessable", "Retry-After: 9\r\n", r#"{"message":"no funds"}"#)];
    let in_work: &[Act] = &[Act::Answer("409 Conflict", "Retry-After: 9\r\n", "")];
    let throttled: &[Act] = &[Act::Answer("429 Slow", "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "")];
    let broken: &[Act] = &[Act::Answer("500 Oops", "", "")];
    let after = |secs| Some(Duration::from_secs(secs));
    for acts in [declined, declined_softly, refused] {
        let ending = run(Provider::new(acts).await.router(&[])).await;
        assert!(matches!(&ending, Ending::Rejected { reason } if reason.contains("no funds")), "{ending:?}");
    }
    let ending = run(Provider::new(throttled).await.router(&[])).await;
    assert!(matches!(ending, Ending::Throttled { after, .. } if after == Some(Duration::ZERO)), "{ending:?}");
    for (acts, delay) in [(in_work, after(9)), (broken, None)] {
        let ending = run(Provider::new(acts).await.router(&[])).await;
        assert!(matches!(ending, Ending::RetryAsked { after, .. } if after == delay), "{ending:?}");
    }
    assert_eq!(run(Provider::new(done).await.router(&[])).await, Ending::Done);
}

#[tokio::test]
async fn what_is_lost_after_the_request_is_ambiguous() {
    let cases: [(&'static [Act], &str); 3] =
        [(&[Act::HangUp], "connection"), (&[Act::BreakOff], "body"), (&[Act::Silence], "within 300ms")];
    for (acts, part) in cases {
        let provider = Provider::new(acts).await;
        let reason = retried(run(provider.router(&[(BILLING_TIMEOUT, "300ms")])).await);
        assert!(reason.contains(part) && reason.contains(AMBIGUOUS), "{acts:?}: {reason}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_or_too_deep_is_ambiguous() {
    let long = format!(r#"{{"id":"ch_1","status":"succeeded","more":"{}"}}"#, "x".repeat(64 * 1024));
    let deep = format!(
        r#"{{"id":"ch_1","status":"succeeded","more":{}{}}}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    for (body, part) in [(long, "length limit exceeded"), (deep, "names neither an id")] {
        let acts = vec![Act::Answer("200 OK", "", body.leak())].leak();
        let reason = retried(run(Provider::new(acts).await.router(&[])).await);
        assert!(reason.contains(part) && reason.contains(AMBIGUOUS), "{reason}");
    }
}

#[tokio::test]
async fn what_was_never_sent_is_not() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", free.local_addr().unwrap());
    drop(free);
    for (values, part) in
        [(&[(BILLING_URL, &*url)][..], "refused"), (&[][..], "DRUMLINE_BILLING_URL is not set")]
    {
        let reason = retried(run(router(values).unwrap()).await);
        assert!(reason.contains(part) && !reason.contains(AMBIGUOUS), "{reason}");
    }
    // The server does not speak TLS.
    let provider = Provider::new(&[PAID]).await;
    let secure = provider.url.replace("http://", "https://");
    let reason = retried(run(router(&[(BILLING_URL, &secure)]).unwrap()).await);
    assert!(!reason.contains(AMBIGUOUS), "{reason}");
}

#[tokio::test]
async fn a_stopped_run_sends_nothing() {
    let mut provider = Provider::new(&[PAID]).await;
    let run = job(provider.router(&[])).shut_down(At::Start).await;
    assert!(retried(run.handler_ending().clone()).contains("before the charge was sent"));
    assert!(!provider.server.has_request());
}

#[tokio::test]
async fn a_run_stopped_meanwhile_reports_that_the_outcome_is_unknown() {
    let mut provider = Provider::new(&[Act::Silence]).await;
    let job = job(provider.router(&[]));
    let run = job.stop_when(CancelReason::Shutdown, async move { drop(provider.request().await) }).await;
    let reason = retried(run.handler_ending().clone());
    assert!(reason.contains("Shutdown") && reason.contains(AMBIGUOUS), "{reason}");
}

#[tokio::test]
async fn the_token_is_not_repeated() {
    let acts = &[Act::Answer("401 Unauthorized", "", r#"{"message":"no such key: sk_very_secret"}"#)];
    let reason = retried(run(Provider::new(acts).await.router(&[])).await);
    assert!(reason.contains("no such key: [token]") && reason.contains(BILLING_TOKEN), "{reason}");
}
