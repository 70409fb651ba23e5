//! The start of the real binaries in various environments: blank, misspelt and injected variables, and nothing to run.

use drumline_tests::sqs_event;
use drumline_tests::{App, Finished, FunctionLaunch, Invocation, Launch, LocalQueue, Proxy, Record, Setup};

/// `EX_USAGE`.
const USAGE: i32 = 64;

/// Misspelt names, each with words that the message must have.
const MISSPELT: [(&str, &str, &[&str]); 4] = [
    (
        "DRUMLINE_FORWARD_URL",
        "http://127.0.0.1:8080/",
        &["DRUMLINE_FORWARD_URL", "did you mean DRUMLINE_FORWARD_TO?"],
    ),
    ("DRUMLINE_CONCURENCY", "3", &["did you mean DRUMLINE_CONCURRENCY?"]),
    ("DRUMLINE_LOG_LEVEL", "debug", &["did you mean DRUMLINE_LOG?"]),
    ("DRUMLINE_SMPT_URL", "smtp://a", &["did you mean DRUMLINE_SMTP_URL?"]),
];

/// Wrong values, each with words that the message must have.
const WRONG: [(&str, &str, &[&str]); 8] = [
    ("DRUMLINE_LOG", "inof", &["DRUMLINE_LOG", "did you mean info?"]),
    ("DRUMLINE_LOG", "warn,drumline=loud", &["DRUMLINE_LOG", "the levels are off, error"]),
    ("DRUMLINE_RETRY", "foo", &["DRUMLINE_RETRY", "exponential(1s,2,5m)"]),
    ("DRUMLINE_FORWARD_TO", "app:8080", &["DRUMLINE_FORWARD_TO", "http:// or https:// address"]),
    ("DRUMLINE_STORE_URL", "localhost:6379", &["DRUMLINE_STORE_URL", "a store is memory:"]),
    ("DRUMLINE_SMTP_URL", "mail:25", &["DRUMLINE_SMTP_URL"]),
    ("DRUMLINE_BILLING_URL", "payments", &["DRUMLINE_BILLING_URL"]),
    ("DRUMLINE_SAMPLE_JOBS", "yes", &["DRUMLINE_SAMPLE_JOBS", "on, off"]),
];

/// Expects that SQS received no request. The last action is that of a request without a target.
fn expect_no_request(proxy: &Proxy) {
    for action in ["GetQueueAttributes", "GetQueueUrl", "ReceiveMessage", "ListQueues", ""] {
        assert_eq!(proxy.count(action), 0, "{action}");
    }
}

fn expect_refused(finished: &Finished, words: &[&str]) {
    let errors = finished.errors();
    assert_eq!(finished.status, Some(USAGE), "{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    for word in words {
        assert!(errors.contains(word), "{word:?} in\n{errors}");
    }
}

#[tokio::test]
async fn a_wrong_variable_stops_a_worker_before_it_asks_for_anything() {
    let queue = LocalQueue::create(Setup::default()).await;
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    for (name, value, words) in MISSPELT.into_iter().chain(WRONG) {
        let launch = Launch::on(&queue).env("AWS_ENDPOINT_URL", &proxy.url()).env(name, value);
        expect_refused(&launch.finish().await, words);
    }
    expect_no_request(&proxy);
}

#[tokio::test]
async fn a_wrong_value_is_an_initialisation_error_of_a_function() {
    for (name, value, words) in WRONG {
        let (finished, api) = FunctionLaunch::new().env(name, value).spawn().await.finish().await;
        expect_refused(&finished, words);
        assert!(api.asked().is_empty(), "{name}: it does not ask for work");
        let errors = api.init_errors();
        assert_eq!(errors.len(), 1, "{name}: {errors:?}");
        let message = errors[0].body["errorMessage"].as_str().unwrap();
        assert!(words.iter().all(|word| message.contains(word)), "{name}: {message}");
    }
}

#[tokio::test]
async fn a_function_warns_of_a_misspelt_name_and_fails_no_batch() {
    let (app, queue) = (App::always_ok().await, LocalQueue::create(Setup::default()).await);
    let mut launch = FunctionLaunch::forwarding(&app, &queue);
    for (name, value, _) in MISSPELT {
        launch = launch.env(name, value);
    }
    let function = launch.spawn().await;
    let batch = sqs_event(&[Record::hand_made("a")]);
    function.invoke(Invocation::new(batch)).await.expect_all_done();
    assert!(function.api().init_errors().is_empty());
    let log = function.log();
    for (name, _, words) in MISSPELT {
        let warned = |entry: &&serde_json::Value| entry["variable"] == name;
        let entry = log.iter().find(warned).unwrap_or_else(|| panic!("{name} in {log:?}"));
        let message = entry["message"].as_str().unwrap();
        assert!(message.contains(words[words.len() - 1]), "{message}");
    }
    // If there is nothing to run, the error includes the name that was meant.
    let (name, value, words) = MISSPELT[0];
    let launch = FunctionLaunch::new().env("DRUMLINE_SAMPLE_JOBS", "").env(name, value);
    let (finished, api) = launch.spawn().await.finish().await;
    expect_refused(&finished, &[&["nothing to run"], words].concat());
    assert!(api.init_errors()[0].body["errorMessage"].as_str().unwrap().contains(words[1]));
}

#[tokio::test]
async fn without_handlers_no_message_is_touched_and_advice_is_given() {
    let queue = LocalQueue::create(Setup::default()).await;
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    let id = queue.send(r#"{"type":"email.send","payload":{}}"#);
    let ways_out = ["nothing to run", "DRUMLINE_FORWARD_TO", "DRUMLINE_SAMPLE_JOBS=on"];
    for switch in ["", " ", "off"] {
        let launch = Launch::on(&queue).env("AWS_ENDPOINT_URL", &proxy.url());
        expect_refused(&launch.env("DRUMLINE_SAMPLE_JOBS", switch).finish().await, &ways_out);
        let (finished, api) =
            FunctionLaunch::new().env("DRUMLINE_SAMPLE_JOBS", switch).spawn().await.finish().await;
        expect_refused(&finished, &ways_out);
        assert_eq!(api.init_errors().len(), 1);
    }
    expect_no_request(&proxy);
    assert_eq!(queue.find(&id).unwrap().receive_count, 0);
    // An invalid setting beside forward mode is the only problem: forward mode has no handlers.
    let launch = Launch::on(&queue).env("DRUMLINE_SAMPLE_JOBS", "").env("DRUMLINE_CONCURRENCY", "0");
    let finished = launch.env("DRUMLINE_FORWARD_TO", "http://127.0.0.1:9/").finish().await;
    expect_refused(&finished, &["DRUMLINE_CONCURRENCY"]);
    assert!(!finished.errors().contains("nothing to run"), "{}", finished.errors());
}

#[tokio::test]
async fn a_worker_runs_among_blank_injected_and_foreign_variables() {
    let (app, queue) = (App::always_ok().await, LocalQueue::create(Setup::default()).await);
    queue.send(r#"{"type":"a.b","payload":{}}"#);
    let mut launch = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &format!(" {} ", app.url()));
    for (name, value) in [
        ("DRUMLINE_CONFIG", ""),
        ("DRUMLINE_STORE_URL", " "),
        ("DRUMLINE_VISIBILITY_TIMEOUT", "\t"),
        ("DRUMLINE_SMTP_URL", ""),
        ("DRUMLINE_SERVICE_HOST", "10.0.0.11"),
        ("DRUMLINE_SERVICE_PORT", "9464"),
        ("DRUMLINE_SERVICE_PORT_HTTP", "9464"),
        ("DRUMLINE_PORT", "tcp://10.0.0.11:9464"),
        ("DRUMLINE_PORT_9464_TCP", "tcp://10.0.0.11:9464"),
        ("DRUMLINE_PORT_9464_TCP_PROTO", "tcp"),
        ("DRUMLINE_PORT_9464_TCP_PORT", "9464"),
        ("DRUMLINE_PORT_9464_TCP_ADDR", "10.0.0.11"),
        ("DRUMLINE_METRICS_SERVICE_HOST", "10.0.0.11"),
        ("DRUMLINE_MAX_PIXELS", "1000"),
        ("DRUMLINE_DEPLOYED_BY", "pipeline"),
    ] {
        launch = launch.env(name, value);
    }
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    let worker = launch.env("AWS_ENDPOINT_URL", &proxy.url()).spawn();
    worker.until_logged("done", 1).await;
    assert!(proxy.count("GetQueueAttributes") > 0 && proxy.count("ReceiveMessage") > 0);
    let unknown = worker.logged_beginning("unknown variable ignored");
    assert_eq!(unknown.len(), 1, "{unknown:?}");
    assert_eq!(unknown[0]["variable"], "DRUMLINE_DEPLOYED_BY");
    worker.stop().await;
}

#[tokio::test]
async fn settings_for_types_without_a_handler_are_a_warning() {
    let queue = LocalQueue::create(Setup::default()).await;
    let launch = Launch::on(&queue);
    let path = launch.home().join("drumline.toml");
    std::fs::write(&path, "[retry_by_type]\n\"email.send\" = \"10s\"\n\"email.sent\" = \"10s\"\n").unwrap();
    let worker = launch.env("DRUMLINE_CONFIG", &path.display().to_string()).spawn();
    worker.until_logged("consuming", 1).await;
    let warnings = worker.logged("settings for a job type without a handler");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(
        (&warnings[0]["table"], &warnings[0]["type"]),
        (&"retry_by_type".into(), &"email.sent".into())
    );
    worker.stop().await;
}
