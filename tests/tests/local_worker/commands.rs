//! The commands as users type them, one after the other.

use std::net::TcpListener;

use drumline_tests::{Answer, App, Finished, Launch, LocalQueue, Setup, Worker, eventually, status_of};
use serde_json::{Value, json};

/// Returns a command beside a worker on this queue.
fn beside(worker: &Worker, queue: &LocalQueue, args: &[&str]) -> Launch {
    let endpoint = worker.endpoint("");
    Launch::new(args)
        .env("DRUMLINE_QUEUE_URL", &queue.url)
        .env("AWS_ENDPOINT_URL", &queue.endpoint_url())
        .env("DRUMLINE_HTTP_ADDR", endpoint.trim_start_matches("http://"))
}

async fn worker(queue: &LocalQueue, app: &App) -> Worker {
    let worker = Launch::on(queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    eventually("it serves", async || status_of(&worker.endpoint("/readyz")).await == Some(200)).await;
    worker
}

fn only_line(finished: &Finished) -> &str {
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert_eq!(finished.stdout.len(), 1, "{finished:?}");
    &finished.stdout[0]
}

#[tokio::test]
async fn the_id_that_send_prints_is_the_one_that_jobs_watch_takes() {
    let (queue, app) = (LocalQueue::create(Setup::default()).await, App::always_ok().await);
    let worker = worker(&queue, &app).await;
    // A new job, one with its own ID, and two without one: a job, and a body that is not a job.
    let table: [(&[&str], &str, Option<&str>); 4] = [
        (&["--type", "a.b", "--payload", "{}"], "", None),
        (&[], r#"{"type":"a.b","jobId":"order-42","payload":1}"#, Some("order-42")),
        (&[], r#"{"type":"a.b","payload":2}"#, None),
        (&["--attribute", "messageType=a.b"], r#"["anything"]"#, None),
    ];
    for (args, input, expected) in table {
        let sent = beside(&worker, &queue, &[&["send"], args].concat()).input(input).finish().await;
        let id = only_line(&sent);
        assert!(expected.is_none_or(|expected| expected == id), "{id}");
        let watched = beside(&worker, &queue, &["jobs", "watch", id]).finish().await;
        assert_eq!(watched.status, Some(0), "{args:?} {}", watched.errors());
        assert!(watched.stdout.last().unwrap().ends_with(" done"), "{watched:?}");
    }
    worker.stop().await;
}

#[tokio::test]
async fn send_has_json_for_programs_and_passes_attributes_on() {
    let (queue, app) =
        (LocalQueue::create(Setup::default()).await, App::start(async |_| Answer::status(200)).await);
    let worker = worker(&queue, &app).await;
    let args = [
        &["send", "--type", "a.b", "--payload", "{}", "--output", "json"][..],
        &["--attribute", "tenant=acme", "--attribute", "size:Number=7"],
    ];
    let sent = beside(&worker, &queue, &args.concat()).finish().await;
    let sent: Value = serde_json::from_str(only_line(&sent)).unwrap();
    assert_eq!((&sent["type"], &sent["queue"]), (&json!("a.b"), &json!(queue.name)));
    eventually("it is forwarded", async || app.calls().len() == 1).await;
    let call = &app.calls()[0];
    assert_eq!(call.header("x-aws-sqsd-msgid"), sent["messageId"].as_str());
    assert_eq!(call.header("x-aws-sqsd-attr-tenant"), Some("acme"));
    assert_eq!(call.header("x-aws-sqsd-attr-size"), Some("7"));
    let shown = beside(&worker, &queue, &["jobs", "show", sent["jobId"].as_str().unwrap()]).finish().await;
    assert_eq!(shown.status, Some(0), "{}", shown.errors());
    worker.stop().await;

    let refused = Launch::new(&["send", "--queue-url", &queue.url, "--attribute", "size:Number=many"]);
    let refused = refused.finish().await;
    assert_eq!(refused.status, Some(64), "{}", refused.errors());
    assert!(refused.errors().contains("not a number"), "{}", refused.errors());
}

#[tokio::test]
async fn send_warns_once_of_what_the_guards_find_and_refuses_secrets() {
    let queue = LocalQueue::create(Setup::default()).await;
    let send = |args: &[&str]| {
        Launch::new(&[&["send", "--queue-url", &queue.url, "--type", "crm.note"], args].concat())
            .env("AWS_ENDPOINT_URL", &queue.endpoint_url())
    };
    let payloads = "{\"to\":\"ada@example.com\"}\n{\"to\":\"bob@example.com\"}\n{\"password\":\"hunter2\"}";
    let finished = send(&[]).input(payloads).finish().await;
    assert_eq!((finished.status, finished.stdout.len()), (Some(0), 3), "{}", finished.errors());
    for words in
        ["warning: payload.to has an e-mail address", "warning: payload.password is named like a secret"]
    {
        assert_eq!(finished.errors().matches(words).count(), 1, "{words:?} in\n{}", finished.errors());
    }
    assert!(
        !finished.errors().contains("hunter2") && !finished.errors().contains("ada@"),
        "{}",
        finished.errors()
    );
    let allowed = send(&[]).env("DRUMLINE_GUARD_ALLOW", "crm.note:/to,*:/password");
    let allowed = allowed.input(payloads).finish().await;
    assert!(allowed.status == Some(0) && !allowed.errors().contains("warning"), "{}", allowed.errors());

    let payload = ["--payload", "{\"db\":\"postgres://app:hunter2@db/main\"}"];
    let named = ["--payload", "{\"password\":\"hunter2\"}"];
    let table = [
        (send(&payload), 64, "payload.db: it has a URL with a password"),
        (send(&payload).env("DRUMLINE_GUARDS", "off"), 64, "payload.db"),
        (send(&payload).env("DRUMLINE_GUARD_ALLOW", "crm.note:/db"), 0, ""),
        (send(&[&payload[..], &["--allow-secrets"]].concat()), 0, ""),
        (send(&named).env("DRUMLINE_GUARDS", "deny"), 64, "payload.password: it is named like a secret"),
        (send(&["--payload", "{}"]).env("DRUMLINE_GUARDS", "never"), 64, "DRUMLINE_GUARDS"),
    ];
    for (launch, status, words) in table {
        let finished = launch.finish().await;
        let errors = finished.errors();
        assert_eq!(finished.status, Some(status), "{words:?}: {errors}");
        assert!(errors.contains(words) && !errors.contains("hunter2"), "{words:?} in\n{errors}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_waited_for() {
    let (queue, app) = (LocalQueue::create(Setup::default()).await, App::always_ok().await);
    let launch = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url());
    let taken = TcpListener::bind(launch.http_addr()).unwrap();
    let worker = launch.spawn();
    worker.until_logged("the address of the HTTP endpoint is in use, retrying", 1).await;
    drop(taken);
    eventually("it serves", async || status_of(&worker.endpoint("/readyz")).await == Some(200)).await;
    worker.stop().await;

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let dev = Launch::new(&["dev", "--queue-only", "--sqs-addr", &addr]).spawn();
    eventually("it says so", async || dev.stderr().join("\n").contains(&format!("{addr} is in use"))).await;
    drop(taken);
    eventually("it serves", async || dev.stdout().join("\n").contains(&format!("http://{addr}"))).await;
    dev.stop().await;
}

#[tokio::test]
async fn dlq_ls_gives_other_programs_whole_lines() {
    let queue = LocalQueue::create(Setup { max_receive_count: Some(1), ..Setup::default() }).await;
    let reason = "no such customer; ".repeat(8);
    let app = App::start(async move |_| Answer::status(422).body(&"no such customer; ".repeat(8))).await;
    let worker = worker(&queue, &app).await;
    let message = queue.send(r#"{"type":"order.created","jobId":"order-1","payload":{}}"#);
    eventually("it is dead", async || queue.dead().len() == 1).await;
    let table = [&["dlq", "ls"][..], &["dlq", "ls", "--wide"], &["dlq", "ls", "--id", "order-1"]];
    for (looks, args) in table.into_iter().enumerate() {
        let listed = beside(&worker, &queue, args).finish().await;
        let cells: Vec<&str> = only_line(&listed).split('\t').collect();
        let [job, job_type, sent, receives, why, id] = cells[..] else { panic!("{cells:?}") };
        assert_eq!((job, job_type, id), ("order-1", "order.created", &*message));
        assert_eq!(receives, (1 + looks).to_string(), "each look is a receive");
        assert!(sent.ends_with('Z') && why.contains(reason.trim_end()), "{cells:?}");
    }
    worker.stop().await;
}

#[tokio::test]
async fn jobs_are_listed_and_found_by_their_messages() {
    let queue = LocalQueue::create(Setup { max_receive_count: Some(1), ..Setup::default() }).await;
    let app = App::start(async |call| {
        let is_bad = call.body.contains("bad");
        if is_bad { Answer::status(422).body("no such customer") } else { Answer::status(200) }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = format!("file:{}", folder.path().join("jobs.db").display());
    for store in ["memory:", &file] {
        let launch = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url());
        let worker = launch.env("DRUMLINE_STORE_URL", store).spawn();
        eventually("it serves", async || status_of(&worker.endpoint("/readyz")).await == Some(200)).await;
        let jobs = |args: &[&str]| {
            beside(&worker, &queue, &[&["jobs"], args].concat()).env("DRUMLINE_STORE_URL", store).finish()
        };
        let good = queue.send(r#"{"type":"a.b","jobId":"good","payload":{}}"#);
        let done = jobs(&["watch", "good"]).await;
        assert_eq!(done.status, Some(0), "{}", done.errors());
        queue.send(r#"{"type":"c.d","jobId":"bad","payload":{"bad":1}}"#);
        let failed = jobs(&["watch", "bad"]).await;
        assert_eq!(failed.status, Some(1), "{}", failed.errors());

        let listed = jobs(&["ls"]).await;
        let lines: Vec<Vec<&str>> = listed.stdout.iter().map(|line| line.split('\t').collect()).collect();
        assert_eq!(lines.len(), 2, "{store} {listed:?}");
        assert_eq!(lines[0][..3], ["bad", "failed", "c.d"]);
        assert!(lines[0][5].contains("no such customer"), "{lines:?}");
        assert_eq!((&lines[1][..3], lines[1][7]), (&["good", "done", "a.b"][..], &*good));
        assert!(only_line(&jobs(&["ls", "--state", "failed"]).await).starts_with("bad\t"));
        assert!(only_line(&jobs(&["ls", "--type", "a.b"]).await).starts_with("good\t"));
        assert!(only_line(&jobs(&["ls", "--limit", "1"]).await).starts_with("bad\t"));

        let shown = jobs(&["show", &good, "--output", "json"]).await;
        let shown: Value = serde_json::from_str(only_line(&shown)).unwrap();
        assert_eq!((&shown["jobId"], &shown["state"]), (&json!("good"), &json!("done")), "{store}");
        assert_eq!(jobs(&["watch", &good]).await.status, Some(0));
        worker.stop().await;
    }
}
