//! Where a worker's credentials come from, and that it goes on while they are rotated.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use drumline_tests::{Answer, App, Call, Launch, Worker, eventually, free_address};
use jiff::Timestamp;
use serde_json::json;

use crate::{QUEUE, UNAVAILABLE};

/// A worker of a queue at `sqs` that has no credentials yet.
fn run(sqs: &App) -> Launch {
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

/// The access key that a request was signed with.
fn key_of(call: &Call) -> Option<String> {
    let (_, credential) = call.header("authorization")?.split_once("Credential=")?;
    credential.split('/').next().map(str::to_owned)
}

async fn expect_key(sqs: &App, key: &str) {
    eventually(&format!("a request is signed with {key}"), async || sqs.count() > 0).await;
    assert_eq!(key_of(&sqs.calls()[0]).as_deref(), Some(key));
}

fn at(time: SystemTime) -> String {
    Timestamp::try_from(time).unwrap().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn in_an_hour() -> String {
    at(SystemTime::now() + Duration::from_secs(3600))
}

fn issued(key: &str, expiration: &str) -> String {
    json!({ "Code": "Success", "AccessKeyId": key, "SecretAccessKey": "secret", "Token": "token", "Expiration": expiration })
        .to_string()
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A worker whose home has this as its AWS config file.
fn with_config(launch: Launch, text: &str) -> Launch {
    write(&launch.home().join(".aws/config"), text);
    launch
}

#[tokio::test]
async fn a_container_s_credentials() {
    let (sqs, agent) =
        (empty_sqs().await, App::start(async |_| Answer::ok().body(&issued("ASIAECS", &in_an_hour()))).await);
    let worker = run(&sqs).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &agent.root()).spawn();
    expect_key(&sqs, "ASIAECS").await;
    worker.kill().await;
}

#[tokio::test]
async fn a_pod_s_credentials_by_its_identity() {
    let (sqs, agent) =
        (empty_sqs().await, App::start(async |_| Answer::ok().body(&issued("ASIAPOD", &in_an_hour()))).await);
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
    let answer = format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAIRSA</AccessKeyId>\
         <SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken><Expiration>{}</Expiration>\
         </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
        in_an_hour()
    );
    let sts = App::start(move |_| {
        let answer = answer.clone();
        async move { Answer::ok().body(&answer) }
    })
    .await;
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
    let metadata = App::start(async |call: Call| {
        if call.line.starts_with("PUT ") {
            return Answer::ok().header("x-aws-ec2-metadata-token-ttl-seconds", "21600").body("a-session");
        }
        match call.line.rsplit('/').next() {
            Some("") => Answer::ok().body("worker-role"),
            Some("worker-role") => {
                let mut issued: serde_json::Value =
                    serde_json::from_str(&issued("ASIAEC2", &in_an_hour())).unwrap();
                issued["Type"] = "AWS-HMAC".into();
                issued["LastUpdated"] = "2026-11-28T20:00:00Z".into();
                Answer::ok().body(&issued.to_string())
            }
            _ => Answer::status(404),
        }
    })
    .await;
    let sqs = empty_sqs().await;
    // The metadata of an instance is not behind the proxy.
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
    let expiration = u64::try_from(
        (SystemTime::now() + Duration::from_secs(3600))
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_millis(),
    )
    .unwrap();
    let portal = App::start(move |_| async move {
        let issued = json!({ "accessKeyId": "ASIASSO", "secretAccessKey": "secret", "sessionToken": "token", "expiration": expiration });
        Answer::ok().body(&json!({ "roleCredentials": issued }).to_string())
    })
    .await;
    let sqs = empty_sqs().await;
    let launch = run(&sqs).env("AWS_ENDPOINT_URL_SSO", &portal.root());
    // The name is the SHA-1 of the session's.
    let token = launch.home().join(".aws/sso/cache/34c6fceca75e456f25e7e99531e2425c6c1de443.json");
    write(&token, &json!({ "accessToken": "a-session", "expiresAt": in_an_hour(), "region": "eu-west-1", "startUrl": "https://d-1.awsapps.com/start" }).to_string());
    let config = "[default]\nsso_session = dev\nsso_account_id = 123456789012\nsso_role_name = worker\n\
                  [sso-session dev]\nsso_region = eu-west-1\nsso_start_url = https://d-1.awsapps.com/start\n";
    let worker = with_config(launch, config).spawn();
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
        // The SDK asks for others ten seconds before the end.
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

fn expect_no_failures(worker: &Worker) {
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
