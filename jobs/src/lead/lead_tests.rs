#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline::core::Ending;
use drumline_testing::LocalQueue;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::settings::LEAD_TIMEOUT;
use crate::testing::{self, result};
use crate::web::{Act, TestServer};

/// Much longer than the responses of working services, even on a busy machine.
const TIMEOUT: &str = "400ms";

fn router(enrich: SocketAddr, crm: SocketAddr, notify: SocketAddr) -> Router {
    let lookup = |name: &str| match name {
        LEAD_ENRICH_URL => Some(format!("http://{enrich}/v1/people")),
        LEAD_CRM_URL => Some(format!("http://{crm}/v1/leads")),
        LEAD_NOTIFY_URL => Some(format!("http://{notify}/v1/messages")),
        LEAD_TIMEOUT => Some(TIMEOUT.to_owned()),
        _ => None,
    };
    crate::router(&Settings::from_lookup(lookup).unwrap())
}

fn lead(id: &str) -> Value {
    json!({ "leadId": id, "email": format!("{id}@example.com"), "name": "Ada" })
}

/// A service that has one effect for each key, and fails randomly before or after the effect.
#[derive(Clone, Default)]
struct Fickle {
    /// The id of each effect by its key, and the number of requests.
    effects: Arc<Mutex<BTreeMap<String, (String, usize)>>>,
}

impl Fickle {
    async fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, service) = (listener.local_addr().unwrap(), self.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move { drop(service.serve(stream).await) });
            }
        });
        address
    }

    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let (mut length, mut key) = (0, String::new());
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            match line.trim_end().split_once(": ") {
                Some(("content-length", text)) => length = text.parse().unwrap(),
                Some(("idempotency-key", text)) => text.clone_into(&mut key),
                _ => {}
            }
            if line == "\r\n" {
                break;
            }
        }
        stream.read_exact(&mut vec![0; length]).await?;
        let busy = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned();
        let slow = "HTTP/1.1 429 Slow\r\nRetry-After: 2\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            .to_owned();
        let answer = match fastrand::u8(0..10) {
            0 => busy,
            1 => slow,
            // The effect happens, and the response is lost.
            2 => {
                self.effect(&key);
                tokio::time::sleep(Duration::from_secs(2)).await;
                return Ok(());
            }
            3 => {
                self.effect(&key);
                busy
            }
            _ => {
                let body = json!({ "id": self.effect(&key), "company": "Acme" }).to_string();
                let length = body.len();
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
            }
        };
        stream.write_all(answer.as_bytes()).await
    }

    fn effect(&self, key: &str) -> String {
        let mut effects = self.effects.lock().unwrap();
        let next = format!("id-{}", effects.len());
        let (id, asked) = effects.entry(key.to_owned()).or_insert((next, 0));
        *asked += 1;
        id.clone()
    }

    fn keys(&self) -> Vec<String> {
        self.effects.lock().unwrap().keys().cloned().collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_lead_has_one_entry_despite_failing_services() {
    const LEADS: usize = 40;
    let services = [Fickle::default(), Fickle::default(), Fickle::default()];
    let [enrich, crm, notify] = &services;
    let router = router(enrich.start().await, crm.start().await, notify.start().await);
    let local = LocalQueue::start(router).setting("retry", "schedule(1s)").max_receive_count(100).await;
    let ids: Vec<String> = (0..LEADS).map(|n| format!("lead-{n:02}")).collect();
    for id in &ids {
        // Some forms are sent twice.
        for _ in 0..=usize::from(fastrand::u8(0..4) == 0) {
            local.payload("lead.received", &json!({ "lead": lead(id) })).send();
        }
    }
    local.until_idle().await;
    assert!(local.dead_letters().is_empty(), "{:?}", local.dead_letters());
    for (service, step) in services.iter().zip(["enrich", "crm", "notify"]) {
        let expected: Vec<String> = ids.iter().map(|id| format!("lead:{id}:{step}")).collect();
        assert_eq!(service.keys(), expected, "one effect for each lead");
    }
    let asked =
        |service: &Fickle| service.effects.lock().unwrap().values().map(|(_, asked)| asked).sum::<usize>();
    assert!(services.iter().map(asked).sum::<usize>() > 3 * LEADS, "some answers were lost");
}

#[tokio::test]
async fn a_step_hands_on_what_it_found() {
    const KNOWN: &[Act] = &[Act::Answer("200 OK", "", r#"{"company":"Acme","employees":7,"more":1}"#)];
    const CREATED: &[Act] = &[Act::Answer("201 Created", "", r#"{"id":"crm:7 /ä"}"#)];
    const UNKNOWN: &[Act] = &[Act::Answer("404 Not Found", "", "")];
    let next = |run: &testing::TestRun| -> (String, Value) {
        let [job] = run.next_jobs() else { panic!("{run}") };
        (job.job_type.clone(), serde_json::from_str(&job.payload).unwrap())
    };
    let [mut known, created, unknown] =
        [TestServer::new(KNOWN).await, TestServer::new(CREATED).await, TestServer::new(UNKNOWN).await];
    let tester = testing::tester(router(known.address, created.address, unknown.address));

    let run = tester.payload("lead.received", &json!({ "lead": lead("a") })).await;
    assert_eq!(next(&run), ("lead.enrich".to_owned(), json!({ "lead": lead("a") })));
    let run = tester.payload("lead.enrich", &json!({ "lead": lead("a") })).await;
    let enriched = json!({ "lead": lead("a"), "enrichment": { "company": "Acme", "employees": 7 } });
    assert_eq!(next(&run), ("lead.crm".to_owned(), enriched.clone()));
    let request = known.request().await;
    assert!(request.contains("\r\nidempotency-key: lead:a:enrich\r\n"), "{request}");
    assert!(request.ends_with(r#"{"email":"a@example.com"}"#), "{request}");
    let run = tester.payload("lead.crm", &enriched).await;
    assert_eq!(next(&run), ("lead.notify".to_owned(), json!({ "leadId": "a", "crmId": "crm:7 /ä" })));
    assert_eq!(result(&run), json!({ "crmId": "crm:7 /ä" }));

    // The service knows nothing about it.
    let tester = testing::tester(router(unknown.address, created.address, created.address));
    let run = tester.payload("lead.enrich", &json!({ "lead": lead("a") })).await;
    assert_eq!(next(&run).1, json!({ "lead": lead("a"), "enrichment": {} }));
    let run = tester.payload("lead.notify", &json!({ "leadId": "a", "crmId": "crm:7 /ä" })).await;
    assert!(run.is_done() && run.next_jobs().is_empty(), "{run}");
}

#[tokio::test]
async fn the_answer_decides() {
    let after = |secs| Some(Duration::from_secs(secs));
    let retried: [(&'static [Act], _, &str); 6] = [
        (&[Act::Answer("503 Slow", "Retry-After: 9\r\n", "")], after(9), "the CRM: 503"),
        (&[Act::Answer("503 Busy", "", r#"{"message":"in words"}"#)], None, "in words"),
        (&[Act::Answer("401 Who", "", "")], None, "401"),
        (&[Act::Answer("404 Not Found", "", "")], None, "is DRUMLINE_LEAD_CRM_URL right?"),
        (&[Act::Answer("200 OK", "", "{}")], None, "cannot be read"),
        (&[Act::HangUp], None, "another try has the same key"),
    ];
    let crm = json!({ "lead": lead("a") });
    for (acts, delay, part) in retried {
        let server = TestServer::new(acts).await;
        let address = server.address;
        let run = testing::tester(router(address, address, address)).payload("lead.crm", &crm).await;
        let Ending::RetryAsked { after, reason } = run.ending() else { panic!("{run}") };
        assert!(*after == delay && reason.contains(part) && run.next_jobs().is_empty(), "{run}");
    }
    let slow = TestServer::new(&[Act::Answer("429 Slow", "Retry-After: 9\r\n", "")]).await;
    let address = slow.address;
    let run = testing::tester(router(address, address, address)).payload("lead.crm", &crm).await;
    assert!(run.is_throttled() && run.reason().unwrap().starts_with("the CRM: 429"), "{run}");
    for status in ["400 Bad", "422 No lead"] {
        let acts: &'static [Act] = Box::leak(Box::new([Act::Answer(status, "", "")]));
        let server = TestServer::new(acts).await;
        let address = server.address;
        let run = testing::tester(router(address, address, address)).payload("lead.crm", &crm).await;
        assert!(matches!(run.ending(), Ending::Rejected { .. }), "{run}");
    }
    let unset = crate::router(&Settings::from_lookup(|_| None).unwrap());
    let run = testing::tester(unset).payload("lead.crm", &crm).await;
    assert!(run.reason().unwrap().contains("DRUMLINE_LEAD_CRM_URL is not set"), "{run}");
}

#[tokio::test]
async fn what_is_no_lead_does_not_fit() {
    let tester = testing::tester(crate::router(&Settings::from_lookup(|_| None).unwrap()));
    for (field, value) in [
        ("leadId", json!("a b")),
        ("email", json!("ada")),
        ("email", json!("@example.com")),
        ("email", json!("a b@example.com")),
        ("name", json!("x".repeat(501))),
        ("phone", json!("1")),
    ] {
        let mut lead = lead("a");
        lead[field] = value;
        let run = tester.payload("lead.received", &json!({ "lead": lead })).await;
        assert!(matches!(run.ending(), Ending::InvalidPayload { .. }), "{field}: {run}");
    }
}
