//! The HTTP endpoint outside the loopback interface.

use std::net::SocketAddr;

use drumline_tests::{App, Finished, Launch, LocalQueue, Setup, Worker, eventually, get, status_of};

const TOKEN: &str = "a-secret-of-this-test";

async fn queue() -> LocalQueue {
    LocalQueue::create(Setup { visibility_secs: 30, ..Setup::default() }).await
}

/// A worker whose endpoint listens on every interface, and its address on the loopback one.
async fn worker(queue: &LocalQueue, app: &App, more: &[(&str, &str)]) -> (Worker, SocketAddr) {
    let launch = Launch::on(queue).env("DRUMLINE_FORWARD_TO", &app.url());
    let addr = launch.http_addr();
    let everywhere = format!("0.0.0.0:{}", addr.port());
    let launch = launch.env("DRUMLINE_HTTP_ADDR", &everywhere);
    let worker = more.iter().fold(launch, |launch, (name, value)| launch.env(name, value)).spawn();
    let ready = format!("http://{addr}/readyz");
    eventually("it is ready", async || status_of(&ready).await == Some(200)).await;
    (worker, addr)
}

async fn show(addr: SocketAddr, token: &[(&str, &str)]) -> Finished {
    let launch = Launch::new(&["jobs", "show", "j-1"]).env("DRUMLINE_HTTP_ADDR", &addr.to_string());
    token.iter().fold(launch, |launch, (name, value)| launch.env(name, value)).finish().await
}

#[tokio::test]
async fn jobs_are_shown_outside_loopback_only_with_token_or_setting() {
    let (queue, app) = (queue().await, App::always_ok().await);
    let (closed, addr) = worker(&queue, &app, &[]).await;
    assert!(!closed.logged_beginning("the HTTP endpoint is reachable beyond the loopback").is_empty());
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(status_of(&format!("http://{addr}{path}")).await, Some(200), "{path}");
    }
    let (status, body) = get(&format!("http://{addr}/jobs/j-1")).await.unwrap();
    assert!(status == 403 && body.contains("DRUMLINE_HTTP_TOKEN"), "{status} {body}");
    assert!(show(addr, &[]).await.errors().contains("DRUMLINE_HTTP_TOKEN"));
    closed.stop().await;

    let (guarded, addr) = worker(&queue, &app, &[("DRUMLINE_HTTP_TOKEN", TOKEN)]).await;
    assert_eq!(status_of(&format!("http://{addr}/jobs/j-1")).await, Some(401));
    let finished = show(addr, &[("DRUMLINE_HTTP_TOKEN", TOKEN)]).await;
    assert!(finished.errors().contains("knows nothing"), "{}", finished.errors());
    guarded.stop().await;

    let (open, addr) = worker(&queue, &app, &[("DRUMLINE_ALLOW_REMOTE", "on")]).await;
    assert_eq!(status_of(&format!("http://{addr}/jobs/j-1")).await, Some(404));
    open.stop().await;
}
