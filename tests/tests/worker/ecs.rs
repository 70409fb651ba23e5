//! The health check of a worker that runs as a task on ECS.

use drumline_tests::{Answer, App, Finished, Launch, Setup, Signal, TestQueue, eventually, free_address};

const UNAVAILABLE: i32 = 69;
const USAGE: i32 = 64;

async fn health(args: &[&str], addr: &str) -> Finished {
    let args: Vec<&str> = ["health"].into_iter().chain(args.iter().copied()).collect();
    Launch::new(&args).env("DRUMLINE_HTTP_ADDR", addr).finish().await
}

#[tokio::test]
async fn its_health_is_told_until_it_has_ended() {
    let queue = TestQueue::create("healthy", Setup::default()).await;
    let app = App::start(|_| std::future::pending::<Answer>()).await;
    let addr = free_address().to_string();
    let worker = Launch::run(&queue)
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_HTTP_ADDR", &addr)
        .env("DRUMLINE_SHUTDOWN_GRACE", "30s")
        .spawn();
    queue.send("{}").await;
    eventually("it runs", async || app.count() == 1).await;
    for (args, answer) in [(&[][..], "ok"), (&["--ready"], "ready"), (&["--http-addr", &addr], "ok")] {
        let finished = health(args, &addr).await;
        assert_eq!(finished.status, Some(0), "{args:?}: {}", finished.errors());
        assert_eq!(finished.stdout, [answer], "{args:?}");
    }
    let everywhere = addr.replace("127.0.0.1", "0.0.0.0");
    assert_eq!(health(&[], &everywhere).await.status, Some(0), "what listens everywhere listens here");

    worker.signal(Signal::TERM);
    worker.until_logged("draining", 1).await;
    assert_eq!(health(&[], &addr).await.status, Some(0), "a draining worker is not to be killed");
    let draining = health(&["--ready"], &addr).await;
    assert_eq!(draining.status, Some(UNAVAILABLE));
    assert!(draining.errors().contains("not ready: draining"), "{}", draining.errors());

    worker.kill().await;
    let gone = health(&[], &addr).await;
    assert_eq!(gone.status, Some(UNAVAILABLE));
    assert!(gone.errors().contains("does not answer"), "{}", gone.errors());
}

#[tokio::test]
async fn a_health_check_that_cannot_be_made_is_wrong_usage() {
    for (args, addr, word) in [
        (&[][..], "off", "is off"),
        (&[], "9464", "DRUMLINE_HTTP_ADDR"),
        (&["--http-addr", "here"], "off", "here"),
    ] {
        let finished = health(args, addr).await;
        assert_eq!(finished.status, Some(USAGE), "{args:?} {addr}: {}", finished.errors());
        assert!(finished.errors().contains(word), "{}", finished.errors());
    }
}
