//! Credentials that are replaced while a worker runs: its next requests are signed with the new ones, and no job notices.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline_tests::{Answer, App, Call, Ended, Launch, Worker, eventually};
use serde_json::{Value, json};

use crate::credentials::{expect_no_failures, key_of, run, with_config, write};
use crate::sources::{Key, SSO_CONFIG, SSO_TOKEN_FILE, agent, metadata, portal, sso_token, sts};

/// The key of the start.
const OLD: &str = "ASIAOLD";
/// The key after the rotation.
const NEW: &str = "ASIANEW";

/// An SQS with one message, which accepts some access keys of the lean client. The SDK's clients make the rare requests, and have credentials
/// of their own.
struct Sqs {
    app: App,
    accepted: Arc<Mutex<Vec<String>>>,
}

fn is_lean(call: &Call) -> bool {
    call.header("user-agent").is_some_and(|agent| agent.starts_with("drumline/"))
}

fn action(call: &Call) -> &str {
    call.header("x-amz-target").and_then(|target| target.rsplit('.').next()).unwrap_or_default()
}

/// The answer to a batch: all entries are done.
fn done(call: &Call) -> Answer {
    let request: Value = serde_json::from_str(&call.body).unwrap();
    let entries = request["Entries"].as_array().unwrap();
    let successful: Vec<_> = entries.iter().map(|entry| json!({ "Id": entry["Id"] })).collect();
    Answer::ok().body(&json!({ "Successful": successful, "Failed": [] }).to_string())
}

impl Sqs {
    /// It refuses other keys with this code.
    async fn start(code: &'static str) -> Self {
        let accepted = Arc::new(Mutex::new(vec![OLD.to_owned()]));
        let (known, is_sent) = (Arc::clone(&accepted), Arc::new(AtomicBool::new(false)));
        let app = App::start(move |call: Call| {
            let (known, is_sent) = (known.lock().unwrap().clone(), Arc::clone(&is_sent));
            async move {
                if is_lean(&call) && key_of(&call).is_none_or(|key| !known.contains(&key)) {
                    let body = json!({ "__type": format!("com.amazon.coral.service#{code}"), "message": "made to fail" });
                    return Answer::status(403).body(&body.to_string());
                }
                match action(&call) {
                    "ReceiveMessage" if !is_sent.swap(true, Ordering::Relaxed) => {
                        let body = json!({ "type": "note", "payload": {} }).to_string();
                        let message = json!({ "MessageId": "m-1", "ReceiptHandle": "r-1", "Body": body });
                        Answer::ok().body(&json!({ "Messages": [message] }).to_string())
                    }
                    "ReceiveMessage" => {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                        Answer::ok().body("{}")
                    }
                    "DeleteMessageBatch" | "ChangeMessageVisibilityBatch" => done(&call),
                    _ => Answer::ok().body("{}"),
                }
            }
        })
        .await;
        Self { app, accepted }
    }

    /// Has it accept these keys only.
    fn accept(&self, keys: &[&str]) {
        *self.accepted.lock().unwrap() = keys.iter().map(|&key| key.to_owned()).collect();
    }

    /// The requests of the lean client for this action that it has answered so, with their keys.
    fn answered(&self, wanted: &str, status: u16) -> Vec<String> {
        let is_it = |call: &Call| {
            let ended = call.ended.map(|(_, ended)| ended);
            is_lean(call) && action(call) == wanted && ended == Some(Ended::Answered(status))
        };
        self.app.calls().iter().filter(|call| is_it(call)).filter_map(key_of).collect()
    }
}

/// A worker of two handlers, so that one receive is open while a job runs.
fn worker(sqs: &Sqs) -> Launch {
    run(&sqs.app).env("DRUMLINE_SQS_CLIENT", "lean").env("DRUMLINE_CONCURRENCY", "2")
}

/// Starts the worker, and rotates its credentials while its job runs. Expects that each request which SQS refuses for the old key is repeated
/// once with the new one, that the job runs once and its message is deleted once, and that nothing of it is logged as a failure.
async fn expect_rotation(sqs: &Sqs, launch: Launch, rotate: impl FnOnce()) {
    let is_rotated = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&is_rotated);
    let app = App::start(move |_| {
        let seen = Arc::clone(&seen);
        async move {
            while !seen.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Answer::ok()
        }
    })
    .await;
    let worker = launch.env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    eventually("the job runs", async || app.count() == 1).await;
    rotate();
    sqs.accept(&[NEW]);
    is_rotated.store(true, Ordering::Relaxed);
    eventually("its message is deleted", async || !sqs.answered("DeleteMessageBatch", 200).is_empty()).await;
    eventually("it goes on", async || {
        sqs.answered("ReceiveMessage", 200).last().is_some_and(|key| key == NEW)
    })
    .await;
    assert_eq!(sqs.answered("DeleteMessageBatch", 200), [NEW]);
    let refused = [sqs.answered("DeleteMessageBatch", 403), sqs.answered("ReceiveMessage", 403)].concat();
    assert!(!refused.is_empty() && refused.len() <= 3, "those that were signed before: {refused:?}");
    assert!(refused.iter().all(|key| key == OLD), "{refused:?}");
    assert_eq!(app.count(), 1, "the job runs once");
    expect_no_failures(&worker);
    stop(worker).await;
}

async fn stop(worker: Worker) {
    assert!(worker.logged_beginning("the SDK's SQS client takes over").is_empty());
    worker.stop().await;
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn a_container_s_credentials_are_rotated() {
    let (sqs, key) = (Sqs::start("ExpiredTokenException").await, Key::new(OLD));
    let agent = agent(&key).await;
    let launch = worker(&sqs).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &agent.root());
    let token = launch.home().join("eks-pod-identity-token");
    write(&token, "first");
    let launch = launch.env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", text(&token));
    expect_rotation(&sqs, launch, || {
        key.rotate(NEW);
        write(&token, "second");
    })
    .await;
    let calls = agent.calls();
    let tokens: Vec<_> = calls.iter().filter_map(|call| call.header("authorization")).collect();
    assert!(tokens.first() == Some(&"first") && tokens.last() == Some(&"second"), "{tokens:?}");
}

#[tokio::test]
async fn an_instance_s_credentials_are_rotated() {
    let (sqs, key) = (Sqs::start("ExpiredTokenException").await, Key::new(OLD));
    let metadata = metadata(&key).await;
    let launch = worker(&sqs)
        .without("AWS_EC2_METADATA_DISABLED")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata.root());
    expect_rotation(&sqs, launch, || key.rotate(NEW)).await;
}

#[tokio::test]
async fn a_service_account_s_credentials_are_rotated_with_its_token() {
    let (sqs, key) = (Sqs::start("ExpiredTokenException").await, Key::new(OLD));
    let sts = sts(&key).await;
    let launch = worker(&sqs)
        .env("AWS_ENDPOINT_URL_STS", &sts.root())
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/worker");
    let token = launch.home().join("token");
    write(&token, "first");
    let launch = launch.env("AWS_WEB_IDENTITY_TOKEN_FILE", text(&token));
    expect_rotation(&sqs, launch, || {
        key.rotate(NEW);
        write(&token, "second");
    })
    .await;
    let last = sts.calls().last().unwrap().body.clone();
    assert!(last.contains("WebIdentityToken=second"), "{last}");
}

#[tokio::test]
async fn a_person_s_credentials_of_single_sign_on_are_rotated() {
    let (sqs, key) = (Sqs::start("ExpiredTokenException").await, Key::new(OLD));
    let portal = portal(&key).await;
    let launch = worker(&sqs).env("AWS_ENDPOINT_URL_SSO", &portal.root());
    write(&launch.home().join(SSO_TOKEN_FILE), &sso_token("a-session"));
    expect_rotation(&sqs, with_config(launch, SSO_CONFIG), || key.rotate(NEW)).await;
    assert!(portal.count() >= 2, "the portal is asked again");
}

#[tokio::test]
async fn a_program_s_credentials_are_rotated() {
    let sqs = Sqs::start("InvalidClientTokenId").await;
    let launch = worker(&sqs);
    let file = launch.home().join("issued.json");
    let issue = |key: &str| {
        write(&file, &json!({ "Version": 1, "AccessKeyId": key, "SecretAccessKey": "secret" }).to_string());
    };
    issue(OLD);
    let launch = with_config(launch, "[default]\ncredential_process = /bin/cat issued.json\n");
    expect_rotation(&sqs, launch, || issue(NEW)).await;
}

#[tokio::test]
async fn the_keys_in_a_profile_s_file_are_rotated() {
    let sqs = Sqs::start("UnrecognizedClientException").await;
    let launch = worker(&sqs).env("AWS_PROFILE", "worker");
    let file = launch.home().join(".aws/credentials");
    let issue = |key: &str| {
        write(&file, &format!("[worker]\naws_access_key_id = {key}\naws_secret_access_key = secret\n"));
    };
    issue(OLD);
    expect_rotation(&sqs, launch, || issue(NEW)).await;
}

#[tokio::test]
async fn credentials_are_replaced_before_their_end() {
    // They are replaced a minute before.
    let (sqs, key) =
        (Sqs::start("ExpiredTokenException").await, Key::ending_in(OLD, Duration::from_secs(62)));
    let (agent, app) = (agent(&key).await, App::always_ok().await);
    let worker = worker(&sqs)
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &agent.root())
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .spawn();
    eventually("the queue is polled", async || !sqs.answered("ReceiveMessage", 200).is_empty()).await;
    key.rotate(NEW);
    sqs.accept(&[OLD, NEW]);
    let last = || sqs.answered("ReceiveMessage", 200).pop();
    eventually("the new key is in use", async || last().as_deref() == Some(NEW)).await;
    assert!(sqs.answered("ReceiveMessage", 403).is_empty());
    assert_eq!(agent.count(), 3, "each client asks at its start, and the lean one once more");
    expect_no_failures(&worker);
    stop(worker).await;
}

#[tokio::test]
async fn a_refused_environment_key_is_reported_until_it_is_accepted() {
    let sqs = Sqs::start("InvalidClientTokenId").await;
    let app = App::always_ok().await;
    let worker = worker(&sqs)
        .env("AWS_ACCESS_KEY_ID", OLD)
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .spawn();
    eventually("the queue is polled", async || sqs.answered("ReceiveMessage", 200).len() >= 2).await;
    sqs.accept(&[NEW]);
    let failures = worker.until_logged("receiving failed", 2).await;
    let error = failures[0]["error"].as_str().unwrap();
    assert!(error.contains("InvalidClientTokenId"), "{error}");
    let refused = sqs.answered("ReceiveMessage", 403).len();
    assert!((4..=20).contains(&refused), "each twice, and not without a pause: {refused}");
    sqs.accept(&[OLD]);
    let before = sqs.answered("ReceiveMessage", 200).len();
    eventually("it goes on", async || sqs.answered("ReceiveMessage", 200).len() > before).await;
    stop(worker).await;
}
