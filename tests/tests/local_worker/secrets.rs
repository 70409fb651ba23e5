//! Secrets in settings and in messages: no output of any command contains one, at any level of the log.

use std::path::Path;

use drumline_tests::{Answer, App, FunctionLaunch, Launch, LocalQueue, Setup, eventually, get};

/// In settings.
const SET: &str = "S3cr3tOfSettings9f2b";

/// In a message, and repeated in the handler's own text.
const SENT: &str = "S3cr3tOfMessages4e1c";

fn expect_hidden(output: &str, secrets: &[&str], from: &str) {
    for secret in secrets {
        let line = output.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{from} shows a secret: {line:?}");
    }
}

/// Sets every setting of the runtime, the jobs and AWS that may contain a secret.
fn with_secrets(launch: Launch, forward_to: &str) -> Launch {
    launch
        .env(
            "DRUMLINE_FORWARD_TO",
            &forward_to
                .replace("://", &format!("://user:{SET}@"))
                .replace("/jobs", &format!("/jobs?key={SET}")),
        )
        .env("DRUMLINE_FORWARD_HEADERS", &format!("X-Api-Key: {SET}"))
        .env("DRUMLINE_HTTP_TOKEN", SET)
        .env("HTTPS_PROXY", &format!("http://user:{SET}@127.0.0.1:9"))
        .env("DRUMLINE_SMTP_URL", &format!("smtp://user:{SET}@127.0.0.1:9"))
        .env("DRUMLINE_MAIL_FROM", "a@b.example")
        .env("DRUMLINE_BILLING_URL", &format!("http://127.0.0.1:9/charges?key={SET}"))
        .env("DRUMLINE_BILLING_TOKEN", SET)
        .env("AWS_SECRET_ACCESS_KEY", SET)
        .env("AWS_SESSION_TOKEN", SET)
}

#[tokio::test]
async fn no_output_of_a_worker_or_its_commands_has_a_secret() {
    let app = App::start(async |call| match call.receive_count {
        1 => Answer::status(503).body(&format!("cannot log in with password={SENT}")),
        _ => Answer::status(422).body(&format!("Authorization: Bearer {SENT}")),
    })
    .await;
    let setup = Setup { max_receive_count: Some(2), visibility_secs: 30, ..Setup::default() };
    let queue = LocalQueue::create(setup).await;
    let body = format!(r#"{{"jobId":"j-secret","type":"a.b","payload":{{"password":"{SENT}"}}}}"#);
    let id = queue.send(&body);
    let launch = with_secrets(Launch::on(&queue), &app.url()).env("DRUMLINE_RETRY", "schedule(1s)");
    let worker = launch.env("DRUMLINE_LOG", "trace").spawn();
    eventually("the message is dead", async || queue.dead().iter().any(|dead| *dead.message_id == *id)).await;
    for path in ["/metrics", "/readyz", "/livez", "/jobs/j-secret"] {
        let (_, text) = get(&worker.endpoint(path)).await.unwrap();
        expect_hidden(&text, &[SET, SENT], path);
    }
    let addr = worker.endpoint("");
    let command = |args: &[&str]| {
        with_secrets(Launch::new(args), &app.url())
            .env("DRUMLINE_HTTP_ADDR", addr.trim_start_matches("http://"))
            .env("DRUMLINE_QUEUE_URL", &queue.url)
            .env("AWS_ENDPOINT_URL", &queue.endpoint_url())
    };
    for (args, secrets) in [
        (&["jobs", "show", "j-secret"][..], &[SET, SENT][..]),
        (&["jobs", "show", "j-secret", "--output", "json"], &[SET, SENT]),
        (&["config"], &[SET, SENT]),
        (&["config", "--output", "json"], &[SET, SENT]),
        (&["config", "--ask"], &[SET, SENT]),
        (&["config", "--check"], &[SET, SENT]),
        (&["config", "--check", "--output", "json"], &[SET, SENT]),
        (&["jobs", "watch", "j-secret"], &[SET, SENT]),
        (&["send", "--type", "a.b", "--payload", "{}"], &[SET, SENT]),
        (&["doctor", "queue"], &[SET, SENT]),
        (&["dlq", "ls"], &[SET, SENT]),
        (&["dlq", "ls", "--output", "json"], &[SET, SENT]),
        // This command prints the body on request.
        (&["dlq", "show", "j-secret"], &[SET]),
        (&["health"], &[SET, SENT]),
        (&["status"], &[SET, SENT]),
    ] {
        let finished = command(args).finish().await;
        assert!(matches!(finished.status, Some(0 | 1)), "{args:?}: {}", finished.errors());
        let output = [finished.stdout.join("\n"), finished.errors()].join("\n");
        expect_hidden(&output, secrets, &args.join(" "));
    }
    let finished = worker.stop().await;
    assert!(finished.errors().contains("\"DEBUG\""), "the log is a fine one");
    expect_hidden(&finished.errors(), &[SET, SENT], "the log");
}

#[tokio::test]
async fn a_target_that_cannot_be_reached_is_named_without_its_secrets() {
    let queue = LocalQueue::create(Setup::default()).await;
    queue.send(r#"{"jobId":"j-down","type":"a.b","payload":{}}"#);
    let down = format!("http://{}/jobs", drumline_tests::free_address());
    let worker = with_secrets(Launch::on(&queue), &down).env("DRUMLINE_LOG", "trace").spawn();
    eventually("a failure is logged", async || {
        worker.logged_beginning("").iter().any(|line| line.to_string().contains("/jobs?***"))
    })
    .await;
    let mut readiness = String::new();
    eventually("readiness names the target's problem", async || {
        readiness = get(&worker.endpoint("/readyz")).await.map(|(_, text)| text).unwrap_or_default();
        readiness.contains("target_unhealthy")
    })
    .await;
    expect_hidden(&readiness, &[SET], "/readyz");
    expect_hidden(&worker.stop().await.errors(), &[SET], "the log");
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_is_named_without_its_secrets() {
    for (url, shown) in [
        (format!("postgres://u:{SET}@127.0.0.1:9/db?connect_timeout={SET}"), "connect_timeout"),
        (format!("redis://u:{SET}@127.0.0.1:9/1"), "Redis"),
    ] {
        let launch = Launch::new(&["run"]).env("DRUMLINE_QUEUE_URL", "http://127.0.0.1:9/1/jobs");
        let finished = launch.env("DRUMLINE_STORE_URL", &url).env("DRUMLINE_LOG", "trace").finish().await;
        assert_eq!(finished.status, Some(69), "{}", finished.errors());
        assert!(finished.errors().contains(shown), "{}", finished.errors());
        expect_hidden(&finished.errors(), &[SET], shown);
    }
}

#[tokio::test]
async fn a_wrong_setting_is_reported_without_its_secret() {
    let wrong = [
        ("DRUMLINE_FORWARD_TO", format!("ftp://user:{SET}@app/?key={SET}")),
        ("DRUMLINE_FORWARD_TO", SET.to_owned()),
        ("DRUMLINE_STORE_URL", format!("redis://:{SET}@localhost/none")),
        ("DRUMLINE_STORE_URL", format!("postgres://u:{SET}@localhost:port/db")),
        ("DRUMLINE_STORE_URL", format!("mysql://u:{SET}@localhost")),
        ("DRUMLINE_QUEUE_URL", format!("https://u:{SET}@sqs.eu-west-1.amazonaws.com/1/jobs")),
        ("DRUMLINE_HTTP_TOKEN", format!("{SET} {SET}")),
        ("DRUMLINE_FORWARD_HEADERS", format!("no header {SET}")),
        ("DRUMLINE_SMTP_URL", format!("http://u:{SET}@mail")),
        ("DRUMLINE_BILLING_URL", format!("https://u:{SET}@payments/")),
        ("DRUMLINE_BILLING_TOKEN", format!("{SET} {SET}")),
        ("DRUMLINE_MAX_PIXELS", format!("redis://:{SET}@localhost")),
        ("DRUMLINE_MAIL_FROM", format!("redis://:{SET}@localhost")),
        ("DRUMLINE_PASSWORDS", SET.to_owned()),
        ("DRUMLINE_FORWARD_URL", format!("http://u:{SET}@app/")),
        ("DRUMLINE_SCOPE", format!("redis://:{SET}@localhost\u{7}")),
    ];
    for (name, value) in &wrong {
        let run = Launch::new(&["run"]).env("DRUMLINE_QUEUE_URL", "http://127.0.0.1:9/1/jobs");
        let config = Launch::new(&["config"]).env("DRUMLINE_QUEUE_URL", "http://127.0.0.1:9/1/jobs");
        // A misspelt name alone stops no function, and is part of the error of one without anything to run.
        let jobs = if *name == "DRUMLINE_FORWARD_URL" { "off" } else { "on" };
        let function = FunctionLaunch::new().env("DRUMLINE_SAMPLE_JOBS", jobs);
        if *name != "DRUMLINE_PASSWORDS" {
            let finished = run.env(name, value).finish().await;
            assert_eq!(finished.status, Some(64), "{name}: {}", finished.errors());
            assert!(finished.errors().contains(name), "{name}: {}", finished.errors());
            expect_hidden(&finished.errors(), &[SET], name);
            let (finished, api) = function.env(name, value).spawn().await.finish().await;
            assert_eq!(finished.status, Some(64), "{name}: {}", finished.errors());
            expect_hidden(&finished.errors(), &[SET], name);
            expect_hidden(&format!("{:?}", api.init_errors()), &[SET], name);
        }
        let finished = config.env(name, value).finish().await;
        expect_hidden(&[finished.stdout.join("\n"), finished.errors()].join("\n"), &[SET], name);
    }
    for text in [
        format!("forward_to = \"http://u:{SET}@app/"),
        format!("forward_url = \"http://u:{SET}@app/\""),
        format!("store_url = [\"redis://:{SET}@app/\"]"),
        format!("[[queue]]\nurl = \"http://u:{SET}@app/1/jobs\""),
    ] {
        expect_hidden(&config_of(&text).await, &[SET], &text);
    }
}

async fn config_of(text: &str) -> String {
    let launch = Launch::new(&["config"]);
    let path: &Path = &launch.home().join("drumline.toml");
    std::fs::write(path, text).unwrap();
    let config = path.display().to_string();
    let finished = launch.env("DRUMLINE_CONFIG", &config).finish().await;
    assert_eq!(finished.status, Some(64), "{}", finished.errors());
    [finished.stdout.join("\n"), finished.errors()].join("\n")
}
