//! The binary's own jobs, instead of an application.

use std::path::{Path, PathBuf};

use drumline_jobs::samples;
use drumline_tests::{FunctionLaunch, LocalQueue, Setup};
use serde_json::json;

use crate::apps::{ids_where, run};

fn with_samples(queue: &LocalQueue) -> (FunctionLaunch, PathBuf) {
    let launch = FunctionLaunch::new();
    let folder = launch.home().canonicalize().unwrap();
    samples::prepare(&folder).unwrap();
    let under = |name: &str| folder.join(name).display().to_string();
    let launch = launch
        .env("AWS_ENDPOINT_URL_SQS", &queue.endpoint_url())
        .env("DRUMLINE_FILE_ROOT", &under("data"))
        .env("DRUMLINE_MAIL_OUTBOX", &under("outbox"))
        .env("DRUMLINE_MAIL_TEMPLATES", &under("mail-templates"));
    (launch, folder)
}

fn mail(delivery: &str) -> String {
    let payload = json!({ "deliveryId": delivery, "templateId": "welcome", "userId": "ada" });
    json!({ "type": "email.send", "payload": payload }).to_string()
}

fn thumbnail(folder: &Path) -> String {
    let file = |name: &str| format!("file://{}", folder.join(name).display());
    let resize = json!({ "resize": { "width": 64, "height": 64 } });
    let payload = json!({
        "source": file("data/images/lake.jpg"),
        "outputs": [{ "target": file("data/small.png"), "operations": [resize, { "convert": { "format": "png" } }] }],
    });
    json!({ "type": "image.process", "payload": payload }).to_string()
}

#[tokio::test]
async fn bodies_that_are_not_jobs_are_listed_and_jobs_are_done() {
    let queue = LocalQueue::create(Setup { visibility_secs: 600, ..Setup::default() }).await;
    let (launch, folder) = with_samples(&queue);
    let function = launch.env("DRUMLINE_RETRY", "schedule(90s)").env("DRUMLINE_RETRY_JITTER", "none");
    let function = function.spawn().await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let unknown = r#"{"type":"some.thing","payload":{}}"#;
    let (one, two, image) = (mail("d-1"), mail("d-2"), thumbnail(&folder));
    let good = [&*one, &*two, &*image];
    let bodies =
        ["{", &*one, "null", "plain text", &*image, r#"{"type":7,"payload":1}"#, &*deep, unknown, &*two];
    let batch = queue.batch(&bodies).await;

    let answered = run(&function, &batch).await;
    let failed = ids_where(&batch, |body| !good.contains(&body));
    assert_eq!(failed.len(), 6);
    answered.expect_failed(&failed);
    for name in ["outbox/d-1.eml", "outbox/d-2.eml", "data/small.png"] {
        assert!(folder.join(name).exists(), "{name}");
    }
    for record in batch.iter().filter(|record| failed.contains(&record.id())) {
        let hidden = queue.hidden_for(&record.id());
        let may_be_known_soon = record.body() == unknown;
        assert_eq!(hidden.is_zero(), !may_be_known_soon, "{}: {hidden:?}", record.body());
    }
    assert_eq!(function.logged("failed for good").len(), 5);
    let entries = function.log();
    assert!(entries.iter().all(|entry| entry.to_string().len() < 4096), "bodies are not logged: {entries:?}");
}

#[tokio::test]
async fn an_unknown_type_is_rejected_where_the_setting_says_so() {
    let queue = LocalQueue::create(Setup { visibility_secs: 600, ..Setup::default() }).await;
    let function = with_samples(&queue).0.env("DRUMLINE_UNKNOWN_TYPE", "reject").spawn().await;
    let batch = queue.batch(&[r#"{"type":"some.thing","payload":{}}"#, &mail("d-1")]).await;
    run(&function, &batch).await.expect_failed(&[batch[0].id()]);
    assert!(queue.hidden_for(&batch[0].id()).is_zero());
}
