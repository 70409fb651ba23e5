//! Messages that are the same job, and messages that only look like it.

use std::fmt::Write as _;

use drumline_tests::{App, MailServer, Setup, TestQueue, eventually, get};
use serde_json::{Value, json};

use crate::envelopes::{cloud_event, native, notification};
use crate::{UNRUN, forwarding, mailing, runs, stores, unique, until_settled};

/// The queues of a case.
const A: usize = 0;
const B: usize = 1;

struct Case {
    name: &'static str,
    shares_scope: bool,
    messages: Vec<(usize, String)>,
    /// The number of runs of each message.
    runs: Vec<usize>,
}

fn cases() -> Vec<Case> {
    let case = |name, messages: Vec<_>, runs: &[usize]| Case {
        name,
        shares_scope: false,
        messages,
        runs: runs.to_vec(),
    };
    let placed = json!({ "type": "order.placed", "payload": { "id": 1 } }).to_string();
    let notified = notification("sns-77", &placed).to_string();
    let mail = native("mail", "m-1");
    let with_empty_key = r#"{"type":"a","idempotencyKey":"","payload":{}}"#;
    vec![
        case("one SNS event in two queues", vec![(A, notified.clone()), (B, notified)], &[1, 1]),
        case(
            "the same job twice in one queue",
            vec![(A, native("order.placed", "o-1")), (A, native("order.placed", "o-1"))],
            &[1, 0],
        ),
        Case {
            shares_scope: true,
            ..case("one job id in two queues of a shared scope", vec![(A, mail.clone()), (B, mail)], &[1, 0])
        },
        case(
            "CloudEvents: one id, three sources",
            ["/shop-a", "/shop-b", "/shop-c"].map(|source| (A, cloud_event(source, "1"))).to_vec(),
            &[1, 1, 1],
        ),
        case(
            "one job id, three types",
            ["order.created", "order.shipped", "order.paid"]
                .map(|job_type| (A, native(job_type, "42")))
                .to_vec(),
            &[1, 1, 1],
        ),
        case(
            "an empty key is no key",
            vec![(A, with_empty_key.to_owned()), (A, with_empty_key.to_owned())],
            &[1, 1],
        ),
    ]
}

#[tokio::test]
async fn one_job_runs_once_and_different_jobs_all_run() {
    for store in stores() {
        let (cases, app, shared) = (cases(), App::always_ok().await, unique("mail"));
        let (mut queues, mut file) = (Vec::new(), String::new());
        for case in &cases {
            let last = case.messages.iter().map(|(queue, _)| *queue).max().unwrap();
            let mut of_case = Vec::new();
            for _ in A..=last {
                let queue = TestQueue::create("case", Setup::default()).await;
                writeln!(file, "[[queue]]\nurl = {:?}", queue.url).unwrap();
                if case.shares_scope {
                    writeln!(file, "scope = {shared:?}").unwrap();
                }
                of_case.push(queue);
            }
            queues.push(of_case);
        }
        let launch = forwarding(&queues[0][A], &app, &store).without("DRUMLINE_QUEUE_URL");
        std::fs::write(launch.home().join("cases.toml"), file).unwrap();
        let worker = launch.env("DRUMLINE_CONFIG", "cases.toml").spawn();

        // A case's next message is sent when the one before has run or has been deleted.
        let mut ids = vec![Vec::new(); cases.len()];
        let rounds = cases.iter().map(|case| case.messages.len()).max().unwrap();
        for round in 0..rounds {
            for (index, case) in cases.iter().enumerate() {
                if let Some((queue, body)) = case.messages.get(round) {
                    ids[index].push(queues[index][*queue].send(body).await);
                }
            }
            let sent = ids.iter().map(Vec::len).sum();
            let all: Vec<&TestQueue> = queues.iter().flatten().collect();
            until_settled(&all, &[&worker], &app, sent).await;
        }
        for (case, ids) in cases.iter().zip(&ids) {
            assert_eq!(runs(&app, ids), case.runs, "{} with {store}", case.name);
        }
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_delivery_sent_under_three_job_ids_is_one_mail() {
    for store in stores() {
        let (queue, server) =
            (TestQueue::create("delivery", Setup::default()).await, MailServer::start().await);
        let worker = mailing(&queue, &server, &store).spawn();
        for (sent, job_id) in ["j1", "j2", "j3"].into_iter().enumerate() {
            let payload = json!({ "deliveryId": "d-1", "templateId": "welcome", "userId": "ada" });
            let body = json!({ "type": "email.send", "jobId": job_id, "payload": payload });
            queue.send(&body.to_string()).await;
            eventually("it is sent or deleted unrun", async || {
                !server.mails().is_empty() && worker.logged(UNRUN).len() == sent && queue.is_empty().await
            })
            .await;
        }
        let mails = server.mails();
        assert_eq!(mails.len(), 1, "{mails:?} with {store}");
        assert!(mails[0].contains("Message-ID: <d-1@"), "{mails:?}");
        let originals: Vec<_> =
            worker.logged(UNRUN).iter().map(|entry| entry["original_job_id"].clone()).collect();
        assert_eq!(originals, ["j1", "j1"], "{store}");
        // Each of the IDs finds the job, and those of duplicates are marked as such.
        for (job_id, original) in [("j1", None), ("j2", Some("j1")), ("j3", Some("j1"))] {
            let (_, text) =
                get(&worker.endpoint(&format!("/jobs/{job_id}?queue={}", queue.name))).await.unwrap();
            let job: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(
                (&job["state"], job["duplicateOf"]["jobId"].as_str()),
                (&json!("done"), original),
                "{text}"
            );
        }
        worker.stop().await;
    }
}
