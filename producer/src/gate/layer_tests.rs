#![allow(clippy::unwrap_used)]

use std::time::Instant;

use axum::Router;
use axum::routing::post;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::gate::queue_gate::tests::{Depth, gate_at};

/// Serves an endpoint behind a gate with the thresholds 10 and 100, and returns its address.
async fn serve(depth: &Depth, change: impl FnOnce(GateLayer) -> GateLayer) -> String {
    let gate = gate_at(depth).fresh_for(Duration::ZERO).longest_delay(Duration::from_millis(400));
    let orders = Router::new().route("/orders", post(|| async { "placed" }));
    let app =
        orders.layer(change(GateLayer::new(gate))).route("/health", axum::routing::get(|| async { "ok" }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    addr
}

async fn ask(addr: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let text = format!("{request} HTTP/1.1\r\nhost: here\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn an_endpoint_that_sends_jobs_is_open_slow_or_refuses() {
    let depth = Depth::at(5);
    let addr = serve(&depth, |layer| layer).await;
    assert!(ask(&addr, "POST /orders").await.ends_with("placed"));
    depth.set(99);
    let begun = Instant::now();
    assert!(ask(&addr, "POST /orders").await.ends_with("placed"));
    assert!(begun.elapsed() >= Duration::from_millis(300), "it waits: {:?}", begun.elapsed());
    depth.set(100);
    let refused = ask(&addr, "POST /orders").await;
    assert!(refused.starts_with("HTTP/1.1 429 Too Many Requests\r\n"), "{refused}");
    assert!(refused.contains("retry-after: 30\r\n"), "{refused}");
    assert!(refused.ends_with(REFUSAL), "{refused}");
    assert!(ask(&addr, "GET /health").await.ends_with("ok"), "other endpoints have no gate");
    depth.set(7);
    assert!(ask(&addr, "POST /orders").await.ends_with("placed"));
}

#[tokio::test]
async fn slow_requests_may_pass_and_the_retry_time_can_be_set() {
    let depth = Depth::at(99);
    let addr = serve(&depth, |layer| layer.pass_slow().retry_after(Duration::from_secs(5))).await;
    let begun = Instant::now();
    assert!(ask(&addr, "POST /orders").await.ends_with("placed"));
    assert!(begun.elapsed() < Duration::from_millis(300), "{:?}", begun.elapsed());
    depth.set(200);
    assert!(ask(&addr, "POST /orders").await.contains("retry-after: 5\r\n"));
}
