//! A command whose reader has ended, like `head`, ends without an error message.

use drumline_tests::{App, Launch, LocalQueue, Setup, eventually, status_of};

/// The exit status that shells report for a process that SIGPIPE has ended.
const READER_LEFT: i32 = 141;

#[tokio::test]
async fn a_reader_that_leaves_ends_every_command_without_an_error() {
    let queue = LocalQueue::create(Setup { max_receive_count: Some(1), ..Setup::default() }).await;
    let app = App::start(async |_| drumline_tests::Answer::status(422)).await;
    let dead = queue.send(r#"{"type":"a.b","jobId":"j-1","payload":{}}"#);
    let launch = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url());
    let (addr, endpoint) = (launch.http_addr(), queue.endpoint_url());
    let worker = launch.spawn();
    eventually("it is dead", async || queue.dead().iter().any(|letter| *letter.message_id == *dead)).await;
    eventually("it answers", async || status_of(&format!("http://{addr}/readyz")).await == Some(200)).await;

    let job = r#"{"type":"a.b","jobId":"j-2","payload":{}}"#;
    let table: [&[&str]; 30] = [
        &["--help"],
        &["run", "--help"],
        &["--version"],
        &["config"],
        &["config", "--output", "json"],
        &["config", "--check"],
        &["health"],
        &["status"],
        &["status", "--output", "json"],
        &["jobs", "ls"],
        &["jobs", "ls", "--output", "json"],
        &["jobs", "show", "j-1"],
        &["jobs", "show", "j-1", "--output", "json"],
        &["jobs", "watch", "j-1"],
        &["dlq", "ls"],
        &["dlq", "ls", "--output", "json"],
        &["dlq", "show", "j-1"],
        &["dlq", "stats"],
        &["dlq", "stats", "--output", "json"],
        &["dlq", "export", "-"],
        &["doctor", "queue"],
        &["doctor", "queue", "--output", "json"],
        &["schema"],
        &["slo", "--target", "99% of a.b within 2m over 30d"],
        &["completions", "bash"],
        &["man"],
        &["help", "dlq", "ls"],
        &["send"],
        &["send", "--output", "json"],
        &["dev", "--queue-only", "--sqs-addr", "127.0.0.1:0"],
    ];
    for args in table {
        let launch = Launch::new(args)
            .env("DRUMLINE_QUEUE_URL", &queue.url)
            .env("AWS_ENDPOINT_URL", &endpoint)
            .env("DRUMLINE_HTTP_ADDR", &addr.to_string())
            .input(job);
        let finished = launch.without_reader().finish().await;
        let errors = finished.errors();
        assert_eq!(finished.status, Some(READER_LEFT), "{args:?}: {errors}");
        assert!(!errors.contains("panicked") && !errors.contains("roken pipe"), "{args:?}: {errors}");
    }
    worker.stop().await;
}
