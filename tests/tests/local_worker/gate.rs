//! `GET /gate` of a worker: advice to producers if they should send.

use drumline_queue::api::SendMessage;
use drumline_tests::{Answer, App, Launch, LocalQueue, Setup, eventually, get};
use serde_json::Value;

/// The status and the body of the gate.
async fn gate(url: &str) -> (u16, Value) {
    let (status, body) = get(url).await.unwrap();
    (status, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn a_backlog_or_too_old_messages_close_the_gate() {
    let queue = LocalQueue::create(Setup { visibility_secs: 30, ..Setup::default() }).await;
    let app = App::start(|_| async { Answer::status(503) }).await;
    for n in 0..30 {
        let delayed = SendMessage { delay_seconds: Some(600), ..SendMessage::default() };
        queue.send_with(&format!(r#"{{"type":"a.b","payload":{n}}}"#), delayed);
    }
    let launch = |depth: &str| {
        let launch = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url());
        launch.env("DRUMLINE_GATE_DEPTH", depth)
    };
    for (depth, status, state) in [("20,30", 429, "shed"), ("20,40", 200, "slow"), ("31,40", 200, "open")] {
        let worker = launch(depth).spawn();
        let ready = worker.endpoint("/readyz");
        eventually("it is ready", async || get(&ready).await.is_some_and(|(status, _)| status == 200)).await;
        for path in ["/gate", "/gate?queue=jobs"] {
            let (answered, body) = gate(&worker.endpoint(path)).await;
            assert_eq!((answered, body["state"].as_str()), (status, Some(state)), "{path} {body}");
            assert_eq!((body["queue"].as_str(), body["depth"].as_u64()), (Some("jobs"), Some(30)), "{body}");
            assert_eq!(body["delaySecs"].as_f64().is_some_and(|secs| secs > 0.1), state == "slow", "{body}");
        }
        let (answered, body) = gate(&worker.endpoint("/gate?queue=other")).await;
        assert_eq!((answered, body["queues"][0].as_str()), (404, Some("jobs")), "{body}");
        worker.stop().await;
    }
}
