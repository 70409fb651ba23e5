//! The texts and exit statuses of a worker that cannot start.

use std::net::TcpListener;

use drumline_tests::{Finished, Launch, Setup, TestQueue, localstack};

const USAGE: i32 = 64;
const UNAVAILABLE: i32 = 69;

/// Expects this status, and all of these words on standard error.
fn expect(finished: &Finished, status: i32, words: &[&str]) {
    let errors = finished.errors();
    assert_eq!(finished.status, Some(status), "{errors}");
    for word in words {
        assert!(errors.contains(word), "{word:?} in\n{errors}");
    }
    assert!(!errors.contains("panicked"), "{errors}");
    assert!(
        !errors.contains("DispatchFailure"),
        "the SDK's inner structure is of no use to an operator:\n{errors}"
    );
    assert!(finished.stdout.is_empty(), "{finished:?}");
}

fn run(queue_url: &str) -> Launch {
    Launch::new(&["run"]).env("DRUMLINE_QUEUE_URL", queue_url).env("DRUMLINE_WAIT_TIME", "1s")
}

#[tokio::test]
async fn a_missing_queue_is_named_with_what_to_check() {
    let url = format!("{}/000000000000/no-such-queue", localstack());
    let finished = run(&url).finish().await;
    let words = ["no-such-queue", "does not exist", "check DRUMLINE_QUEUE_URL", "account and region"];
    expect(&finished, UNAVAILABLE, &words);
}

#[tokio::test]
async fn wrong_settings_are_all_told_at_once() {
    let finished = Launch::new(&["run", "--handler-timeout", "soon"])
        .env("DRUMLINE_QUEUE_URL", "jobs/")
        .env("DRUMLINE_CONCURRENCY", "none")
        .env("DRUMLINE_WAIT_TIME", "21s")
        .env("DRUMLINE_RETRY", "linear(1s)")
        .env("DRUMLINE_HTTP_ADDR", "9464")
        .finish()
        .await;
    let words = [
        "6 problems",
        "\"jobs/\" is not a URL",
        "DRUMLINE_CONCURRENCY = \"none\": must be a whole number",
        "DRUMLINE_WAIT_TIME = \"21s\": must be whole seconds",
        "--handler-timeout = \"soon\": is not a duration",
        "DRUMLINE_RETRY = \"linear(1s)\"",
        "DRUMLINE_HTTP_ADDR = \"9464\"",
    ];
    expect(&finished, USAGE, &words);
}

#[tokio::test]
async fn without_a_queue_the_way_to_name_one_is_told() {
    expect(&Launch::new(&["run"]).finish().await, USAGE, &["DRUMLINE_QUEUE_URL", "--queue-url"]);
}

#[tokio::test]
async fn wrong_settings_of_the_jobs_are_told_too() {
    let launch = || {
        run("http://127.0.0.1:1/000000000000/jobs")
            .env("DRUMLINE_MAX_PIXELS", "many")
            .env("DRUMLINE_SMTP_URL", "smtp://mail.example.com")
    };
    expect(&launch().finish().await, USAGE, &["DRUMLINE_MAX_PIXELS", "DRUMLINE_MAIL_FROM"]);
    let both = launch().env("DRUMLINE_CONCURRENCY", "none").finish().await;
    expect(&both, USAGE, &["DRUMLINE_CONCURRENCY", "DRUMLINE_MAX_PIXELS", "DRUMLINE_MAIL_FROM"]);
}

#[tokio::test]
async fn job_folders_with_templates_or_settings_are_refused() {
    let launch_with = |flags: &[&str]| {
        let launch = Launch::new(&[&["run"], flags].concat())
            .env("DRUMLINE_QUEUE_URL", "http://127.0.0.1:1/000000000000/jobs");
        let home = launch.home().display().to_string();
        std::fs::write(launch.home().join("drumline.toml"), "").unwrap();
        launch.env("DRUMLINE_FILE_ROOT", &home)
    };
    let without = launch_with(&[]).finish().await;
    expect(&without, USAGE, &["DRUMLINE_FILE_ROOT", "DRUMLINE_MAIL_TEMPLATES", "folder of their own"]);
    let words = ["DRUMLINE_FILE_ROOT", "the settings file", "DRUMLINE_CONFIG"];
    let by_variable = launch_with(&[]).env("DRUMLINE_CONFIG", "drumline.toml").finish().await;
    expect(&by_variable, USAGE, &words);
    for flags in [&["--config", "drumline.toml"][..], &["--config=drumline.toml"]] {
        expect(&launch_with(flags).finish().await, USAGE, &words);
    }
}

#[tokio::test]
async fn an_unknown_flag_is_wrong_usage() {
    expect(
        &Launch::new(&["run", "--concurency", "3"]).finish().await,
        USAGE,
        &["--concurency", "--concurrency"],
    );
}

#[tokio::test]
async fn a_region_that_nothing_tells_is_asked_for() {
    let finished =
        run("https://vpce-1.sqs.vpce.amazonaws.com/123456789012/jobs").without("AWS_REGION").finish().await;
    expect(&finished, USAGE, &["no AWS region is set", "set AWS_REGION"]);
}

#[tokio::test]
async fn missing_credentials_are_told_with_the_ways_to_give_some() {
    // The request would go to LocalStack, but there are no credentials to sign it with.
    let finished = run("https://sqs.eu-central-1.amazonaws.com/123456789012/jobs")
        .env("AWS_ENDPOINT_URL", &localstack())
        .without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY")
        .finish()
        .await;
    let words = ["jobs", "a role", "AWS_PROFILE", "AWS_ACCESS_KEY_ID"];
    expect(&finished, UNAVAILABLE, &words);
}

#[tokio::test]
async fn an_http_address_in_use_is_told_with_the_way_out() {
    let queue = TestQueue::create("address", Setup::default()).await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    // A worker that it replaces would have ended within this grace.
    let launch = Launch::run(&queue).env("DRUMLINE_SHUTDOWN_GRACE", "1s").env("DRUMLINE_WAIT_TIME", "1s");
    let worker = launch.env("DRUMLINE_HTTP_ADDR", &address).spawn();
    let problem = "another process keeps the address of the HTTP endpoint: this one continues without /livez, /readyz and \
                   /metrics; set DRUMLINE_HTTP_ADDR to another address, or to off";
    let lines = worker.until_logged(problem, 1).await;
    assert_eq!(lines[0]["addr"], address);
    let finished = worker.stop().await;
    assert_eq!((finished.status, finished.logged("consuming").len()), (Some(0), 1), "{}", finished.errors());
}

#[tokio::test]
async fn copies_without_a_dlq_to_be_found_are_no_start() {
    let queue = TestQueue::create("lost-dlq", Setup::default()).await;
    let delete = queue.client.delete_queue().queue_url(&queue.dead_letter_url);
    delete.send().await.unwrap();
    let finished = Launch::run(&queue).env("DRUMLINE_PERMANENT_FAILURES", "dead-letter").finish().await;
    expect(&finished, UNAVAILABLE, &[&queue.name, "DLQ", "does not exist"]);
}
