//! The sources of a worker's credentials, and that it keeps running while they are rotated.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use drumline_tests::{Answer, App, Call, Launch, Worker, eventually, free_address};
use serde_json::json;

use crate::sources::{
    Key, SSO_CONFIG, SSO_TOKEN_FILE, agent, at, in_an_hour, issued, metadata, portal, sso_token, sts,
};
use crate::{QUEUE, UNAVAILABLE};

/// Returns a worker on a queue at `sqs` without credentials.
pub(crate) fn run(sqs: &App) -> Launch {
    Launch::new(&["run"])
        .without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY")
        .env("DRUMLINE_QUEUE_URL", QUEUE)
        .env("DRUMLINE_WAIT_TIME", "1s")
        .env("DRUMLINE_ALLOW_UNBOUNDED", "true")
        .env("AWS_ENDPOINT_URL_SQS", &sqs.root())
}

/// An SQS with an empty queue.
async fn empty_sqs() -> App {
    App::start(async |call: Call| {
        if call.header("x-amz-target").is_some_and(|action| action.ends_with("ReceiveMessage")) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Answer::ok().body("{}")
    })
    .await
}

/// Returns the access key with which a request was signed.
pub(crate) fn key_of(call: &Call) -> Option<String> {
    let (_, credential) = call.header("authorization")?.split_once("Credential=")?;
    credential.split('/').next().map(str::to_owned)
}

async fn expect_key(sqs: &App, key: &str) {
    eventually(&format!("a request is signed with {key}"), async || sqs.count() > 0).await;
    assert_eq!(key_of(&sqs.calls()[0]).as_deref(), Some(key));
}

pub(crate) fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Returns a worker whose home has this AWS config file.
pub(crate) fn with_config(launch: Launch, text: &str) -> Launch {
    write(&launch.home().join(".aws/config"), text);
    launch
}

#[tokio::test]
async fn a_container_s_credentials() {
    let (sqs, agent) = (empty_sqs().await, agent(&Key::new("ASIAECS")).await);
    let worker = run(&sqs).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &agent.root()).spawn();
    expect_key(&sqs, "ASIAECS").await;
    worker.kill().await;
}

#[tokio::test]
async fn a_pod_s_credentials_by_its_identity() {
    let (sqs, agent) = (empty_sqs().await, agent(&Key::new("ASIAPOD")).await);
    let launch =
        run(&sqs).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/v1/credentials", agent.root()));
    let token = launch.home().join("eks-pod-identity-token");
    write(&token, "a.pod.token");
    let worker = launch.env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.to_str().unwrap()).spawn();
    expect_key(&sqs, "ASIAPOD").await;
    assert_eq!(agent.calls()[0].header("authorization"), Some("a.pod.token"));
    worker.kill().await;
}

#[tokio::test]
async fn a_service_account_s_credentials_by_web_identity() {
    let sts = sts(&Key::new("ASIAIRSA")).await;
    let sqs = empty_sqs().await;
    let launch = run(&sqs)
        .env("AWS_ENDPOINT_URL_STS", &sts.root())
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/worker");
    let token = launch.home().join("token");
    write(&token, "a.service.account");
    let worker = launch.env("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()).spawn();
    expect_key(&sqs, "ASIAIRSA").await;
    assert!(sts.calls()[0].body.contains("WebIdentityToken=a.service.account"), "{:?}", sts.calls());
    worker.kill().await;
}

#[tokio::test]
async fn an_instance_s_credentials() {
    let metadata = metadata(&Key::new("ASIAEC2")).await;
    let sqs = empty_sqs().await;
    // The metadata of an instance is requested without the proxy.
    let worker = run(&sqs)
        .without("AWS_EC2_METADATA_DISABLED")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata.root())
        .env("HTTP_PROXY", &format!("http://{}", free_address()))
        .spawn();
    expect_key(&sqs, "ASIAEC2").await;
    worker.kill().await;
}

#[tokio::test]
async fn a_program_s_credentials() {
    let sqs = empty_sqs().await;
    let launch = run(&sqs);
    let issued =
        json!({ "Version": 1, "AccessKeyId": "ASIAPROCESS", "SecretAccessKey": "secret" }).to_string();
    write(&launch.home().join("issued.json"), &issued);
    let worker = with_config(launch, "[default]\ncredential_process = /bin/cat issued.json\n").spawn();
    expect_key(&sqs, "ASIAPROCESS").await;
    worker.kill().await;
}

#[tokio::test]
async fn a_person_s_credentials_by_single_sign_on() {
    let portal = portal(&Key::new("ASIASSO")).await;
    let sqs = empty_sqs().await;
    let launch = run(&sqs).env("AWS_ENDPOINT_URL_SSO", &portal.root());
    write(&launch.home().join(SSO_TOKEN_FILE), &sso_token("a-session"));
    let worker = with_config(launch, SSO_CONFIG).spawn();
    expect_key(&sqs, "ASIASSO").await;
    assert_eq!(portal.calls()[0].header("x-amz-sso_bearer_token"), Some("a-session"));
    worker.kill().await;
}

#[tokio::test]
async fn a_person_s_credentials_by_aws_login() {
    let sqs = empty_sqs().await;
    let launch = run(&sqs).env("AWS_LOGIN_CACHE_DIRECTORY", "login");
    let access = json!({ "accessKeyId": "ASIALOGIN", "secretAccessKey": "secret", "sessionToken": "token", "accountId": "123456789012", "expiresAt": in_an_hour() });
    // The name is the SHA-256 of the session's.
    let token =
        launch.home().join("login/893f13863f68a08133e541260597f1d60f5bf9b326625782990032cbad201e26.json");
    write(&token, &json!({ "accessToken": access, "tokenType": "aws_sigv4", "refreshToken": "r", "clientId": "arn:aws:signin:::devtools/same-device", "dpopKey": "k" }).to_string());
    let worker = with_config(
        launch,
        "[default]\nlogin_session = arn:aws:iam::123456789012:user/dev\nregion = eu-west-1\n",
    )
    .spawn();
    expect_key(&sqs, "ASIALOGIN").await;
    worker.kill().await;
}

#[tokio::test]
async fn a_worker_goes_on_while_its_credentials_are_rotated() {
    static ISSUED: AtomicUsize = AtomicUsize::new(0);
    let agent = App::start(async |_| {
        let number = ISSUED.fetch_add(1, Ordering::Relaxed) + 1;
        // The SDK requests new ones ten seconds before the end.
        Answer::ok().body(&issued(&format!("ASIA{number}"), &at(SystemTime::now() + Duration::from_secs(13))))
    })
    .await;
    let sqs = empty_sqs().await;
    let worker = run(&sqs).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &agent.root()).spawn();
    expect_key(&sqs, "ASIA1").await;
    eventually("requests are signed with the third", async || {
        sqs.calls().last().and_then(key_of).as_deref() == Some("ASIA3")
    })
    .await;
    expect_no_failures(&worker);
    worker.stop().await;
}

pub(crate) fn expect_no_failures(worker: &Worker) {
    let failures = worker.logged_beginning("receiv");
    assert!(failures.is_empty(), "{failures:?}");
}

#[tokio::test]
async fn a_credentials_endpoint_that_comes_up_late_is_waited_for() {
    let (sqs, address) = (empty_sqs().await, free_address());
    let worker = run(&sqs).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("http://{address}/")).spawn();
    let logged = worker.until_logged("the queue does not answer yet", 1).await;
    let error = logged[0]["error"].as_str().unwrap();
    assert!(error.contains("AWS_CONTAINER_CREDENTIALS_FULL_URI"), "{error}");
    let _agent =
        App::start_on(address, async |_| Answer::ok().body(&issued("ASIALATE", &in_an_hour()))).await;
    worker.until_logged("consuming", 1).await;
    expect_key(&sqs, "ASIALATE").await;
    worker.stop().await;
}

#[tokio::test]
async fn a_role_that_may_not_be_assumed_ends_the_start_at_once() {
    let sts = App::start(async |_| {
        Answer::status(403).body(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>AccessDenied</Code>\
             <Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message></Error></ErrorResponse>",
        )
    })
    .await;
    let sqs = empty_sqs().await;
    let launch = run(&sqs)
        .env("AWS_ENDPOINT_URL_STS", &sts.root())
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/w");
    let token = launch.home().join("token");
    write(&token, "t");
    let finished = launch.env("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()).finish().await;
    let errors = finished.errors();
    assert_eq!(finished.status, Some(UNAVAILABLE), "{errors}");
    assert!(errors.contains("AssumeRoleWithWebIdentity") && errors.contains("trust policy"), "{errors}");
    assert_eq!(sqs.count(), 0);
}
