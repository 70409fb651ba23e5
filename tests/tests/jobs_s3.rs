//! `image.process` and `report.generate` from S3 to S3, against LocalStack: the real client, its settings from the environment, real objects.
#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::num::NonZeroU32;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_config::BehaviorVersion;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use drumline::Router;
use drumline::core::{
    CancelReason, Claim, ClaimRequest, ClaimResult, DeliveryId, Ending, Grant, MaybeReady, RunControl,
};
use drumline::message::{Intake, Message};
use drumline::run::{Attempt, AttemptInfo, Event, Observer, RunEnvironment};
use drumline_jobs::{Settings, samples};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// The variable with LocalStack's URL, as `http://127.0.0.1:PORT`.
const LOCALSTACK: &str = "DRUMLINE_TEST_LOCALSTACK";

/// The SDK takes its endpoint from the environment, which a running test must not change. So the test runs itself again, in a
/// process with that environment.
fn within_localstack(test: &str, body: impl Future<Output = ()>) {
    let endpoint = drumline_store::variable(LOCALSTACK)
        .unwrap_or_else(|| panic!("{LOCALSTACK} is not set: run this test by `cargo xtask test`"));
    if drumline_store::variable("AWS_ENDPOINT_URL").as_ref() == Some(&endpoint) {
        tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(body);
        return;
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("AWS_ENDPOINT_URL", &endpoint)
        .envs([("AWS_REGION", REGION), ("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")])
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed in its own process");
}

const REGION: &str = "eu-central-1";

struct TokioHost;

impl RunEnvironment for TokioHost {
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        tokio::task::spawn_blocking(work);
    }
}

async fn run(router: &Router, payload: Value) -> Ending {
    run_under(router, "image.process", payload, Arc::new(TokioHost), RunControl::new()).await
}

async fn run_under(
    router: &Router,
    job_type: &str,
    payload: Value,
    host: Arc<dyn RunEnvironment>,
    control: RunControl,
) -> Ending {
    let body = json!({ "type": job_type, "payload": payload }).to_string();
    let attempt = Attempt {
        delivery: DeliveryId::default(),
        queue: "jobs".into(),
        intake: Arc::new(Intake::new("jobs")),
        message: Arc::new(Message { id: "m-1".into(), body, ..Message::default() }),
        number: NonZeroU32::MIN,
        started_at: Instant::now(),
        deadline: Instant::now() + Duration::from_mins(1),
        latest_deadline: Instant::now() + Duration::from_mins(1),
        claim_length: Duration::from_secs(27),
        permit: None,
        arrival: None,
        control,
        host,
    };
    router.run(attempt).await.ending
}

/// Keeps checkpoints from one attempt to the next, and stops an attempt after it has reported progress.
#[derive(Default)]
struct KeepingHost {
    checkpoint: Mutex<Option<Box<RawValue>>>,
    /// The first progress of the last attempt.
    begun_at: Mutex<Option<u64>>,
    stop: Mutex<Option<RunControl>>,
}

impl RunEnvironment for KeepingHost {
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        tokio::task::spawn_blocking(work);
    }

    fn observer(&self) -> &dyn Observer {
        self
    }

    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> MaybeReady<'a, Result<ClaimResult, String>> {
        let identity = Arc::clone(&request.identity);
        let claim = Claim { identity, owner: "test".into(), fencing_token: 1, lock: None };
        let checkpoint = self.checkpoint.lock().unwrap().clone();
        let grant = Grant { claim: Arc::new(claim), attempt: NonZeroU32::MIN, checkpoint, takeover: None };
        MaybeReady::now(Ok(ClaimResult::Granted(grant)))
    }

    fn checkpoint(&self, _: &AttemptInfo, value: Box<RawValue>) {
        *self.checkpoint.lock().unwrap() = Some(value);
    }
}

impl Observer for KeepingHost {
    fn observe(&self, event: &Event<'_>) {
        match event {
            Event::RunStarted { .. } => *self.begun_at.lock().unwrap() = None,
            Event::Progress { progress, .. } => {
                self.begun_at.lock().unwrap().get_or_insert(progress.done);
                if let Some(control) = self.stop.lock().unwrap().take() {
                    control.cancel(CancelReason::Shutdown);
                }
            }
            _ => {}
        }
    }
}

/// Returns the test's own client, and a bucket with one photo in it.
async fn bucket(folder: &std::path::Path) -> (Client, String) {
    samples::prepare(folder).unwrap();
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(http).load().await;
    let client = Client::from_conf(aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build());
    let bucket = format!("jobs-{}-{}", std::process::id(), fastrand::u32(..));
    let place = CreateBucketConfiguration::builder()
        .location_constraint(BucketLocationConstraint::from(REGION))
        .build();
    client.create_bucket().bucket(&bucket).create_bucket_configuration(place).send().await.unwrap();
    let photo = std::fs::read(folder.join("data/images/lake.jpg")).unwrap();
    let put = client.put_object().bucket(&bucket).key("in/a photo+ü.jpg").body(ByteStream::from(photo));
    put.send().await.unwrap();
    (client, bucket)
}

fn resize(target: &str, format: &str) -> Value {
    json!({
        "target": target,
        "operations": [{ "resize": { "width": 96, "height": 96 } }, { "convert": { "format": format } }],
    })
}

#[test]
fn images_go_from_s3_to_s3() {
    within_localstack("images_go_from_s3_to_s3", async {
        let folder = tempfile::tempdir().unwrap();
        let (client, bucket) = bucket(folder.path()).await;
        let router = drumline_jobs::router(&Settings::for_folder(folder.path()));
        let source = format!("s3://{bucket}/in/a photo+ü.jpg");
        let outputs =
            ["webp", "jpeg"].map(|format| resize(&format!("s3://{bucket}/out/96 {format}"), format)).to_vec();
        // Twice: a duplicate delivery does the same again.
        for _ in 0..2 {
            assert_eq!(run(&router, json!({ "source": source, "outputs": outputs })).await, Ending::Done);
        }
        for (format, magic) in [("webp", &b"RIFF"[..]), ("jpeg", &[0xFF, 0xD8])] {
            let object =
                client.get_object().bucket(&bucket).key(format!("out/96 {format}")).send().await.unwrap();
            assert_eq!(object.content_type(), Some(format!("image/{format}").as_str()));
            let told = object.content_length().unwrap();
            let bytes = object.body.collect().await.unwrap().into_bytes();
            assert_eq!(bytes.len(), usize::try_from(told).unwrap());
            assert!(bytes.starts_with(magic), "{format}");
        }
        let listed = client.list_objects_v2().bucket(&bucket).prefix("out/").send().await.unwrap();
        assert_eq!(listed.contents().len(), 2);
    });
}

#[test]
fn images_go_between_files_and_s3() {
    within_localstack("images_go_between_files_and_s3", async {
        let folder = tempfile::tempdir().unwrap();
        let (client, bucket) = bucket(folder.path()).await;
        let router = drumline_jobs::router(&Settings::for_folder(folder.path()));
        let root = folder.path().canonicalize().unwrap().join("data");
        let down = json!({
            "source": format!("s3://{bucket}/in/a photo+ü.jpg"),
            "outputs": [resize(&format!("file://{}/down.png", root.display()), "png")],
        });
        assert_eq!(run(&router, down).await, Ending::Done);
        let up = json!({
            "source": format!("file://{}/down.png", root.display()),
            "outputs": [resize(&format!("s3://{bucket}/up.webp"), "webp")],
        });
        assert_eq!(run(&router, up).await, Ending::Done);
        client.head_object().bucket(&bucket).key("up.webp").send().await.unwrap();
    });
}

#[test]
fn what_is_not_in_s3_is_rejected() {
    within_localstack("what_is_not_in_s3_is_rejected", async {
        let folder = tempfile::tempdir().unwrap();
        let (client, bucket) = bucket(folder.path()).await;
        let router = drumline_jobs::router(&Settings::for_folder(folder.path()));
        let photo = format!("s3://{bucket}/in/a photo+ü.jpg");
        for (source, target, code) in [
            (format!("s3://{bucket}/in/missing.jpg"), format!("s3://{bucket}/out"), "NoSuchKey"),
            (format!("s3://{bucket}-none/in.jpg"), format!("s3://{bucket}/out"), "NoSuchBucket"),
            (photo, format!("s3://{bucket}-none/out"), "NoSuchBucket"),
        ] {
            let ending = run(&router, json!({ "source": source, "outputs": [resize(&target, "png")] })).await;
            assert!(matches!(&ending, Ending::Rejected { reason } if reason.contains(code)), "{ending:?}");
        }
        let listed = client.list_objects_v2().bucket(&bucket).prefix("out").send().await.unwrap();
        assert_eq!(listed.contents().len(), 0, "nothing was written");
    });
}

/// Returns a table of about three megabytes, which is several pieces.
fn sales() -> String {
    let mut text = String::from("id,country,amount\r\n");
    for id in 0..150_000 {
        writeln!(text, "{id},\"country, {}\",{}.{:02}", id % 9, id % 500, id % 100).unwrap();
    }
    text
}

#[test]
fn a_report_from_s3_is_gone_on_with() {
    within_localstack("a_report_from_s3_is_gone_on_with", async {
        let folder = tempfile::tempdir().unwrap();
        let (client, bucket) = bucket(folder.path()).await;
        let put = |text: String| {
            client
                .put_object()
                .bucket(&bucket)
                .key("in/sales 1+ü.csv")
                .body(ByteStream::from(text.into_bytes()))
        };
        put(sales()).send().await.unwrap();
        let router = drumline_jobs::router(&Settings::for_folder(folder.path()));
        let payload = |target: &str| {
            json!({
                "source": format!("s3://{bucket}/in/sales 1+ü.csv"),
                "target": format!("s3://{bucket}/out/{target}"),
                "groupBy": "country",
                "value": "amount",
            })
        };
        let attempt = async |target: &str, host: &Arc<KeepingHost>, control: RunControl| {
            let host = Arc::clone(host) as Arc<dyn RunEnvironment>;
            run_under(&router, "report.generate", payload(target), host, control).await
        };
        let output = async |name: &str| {
            let object = client.get_object().bucket(&bucket).key(format!("out/{name}")).send().await.unwrap();
            object.body.collect().await.unwrap().into_bytes()
        };

        let host = Arc::<KeepingHost>::default();
        assert_eq!(attempt("whole", &host, RunControl::new()).await, Ending::Done);
        let head = client.head_object().bucket(&bucket).key("out/whole.html").send().await.unwrap();
        assert_eq!(head.content_type(), Some("text/html; charset=utf-8"));

        let host = Arc::<KeepingHost>::default();
        let control = RunControl::new();
        *host.stop.lock().unwrap() = Some(control.clone());
        let ending = attempt("broken", &host, control).await;
        assert!(
            matches!(&ending, Ending::RetryAsked { reason, .. } if reason.contains("half-way")),
            "{ending:?}"
        );
        let stopped_at = host.begun_at.lock().unwrap().unwrap();
        assert_eq!(attempt("broken", &host, RunControl::new()).await, Ending::Done);
        assert!(host.begun_at.lock().unwrap().unwrap() > stopped_at, "it has begun anew");
        for ending in ["csv", "html"] {
            assert_eq!(output(&format!("whole.{ending}")).await, output(&format!("broken.{ending}")).await);
        }

        // Its last checkpoint is behind the end, from which a job can resume too.
        assert_eq!(attempt("once more", &host, RunControl::new()).await, Ending::Done);
        assert_eq!(*host.begun_at.lock().unwrap(), Some(150_000));
        assert_eq!(output("once more.csv").await, output("whole.csv").await);

        put("country,amount\nNO,1\n".into()).send().await.unwrap();
        assert_eq!(attempt("changed", &host, RunControl::new()).await, Ending::Done);
        assert_eq!(output("changed.csv").await, "country,count,sum,min,max,mean\nNO,1,1,1,1,1.00\n");
    });
}
