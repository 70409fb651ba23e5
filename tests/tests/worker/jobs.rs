//! The binary's own jobs, from the queue to their results.

use std::path::Path;

use drumline_jobs::samples;
use drumline_tests::{Launch, Setup, TestQueue, eventually};
use serde_json::{Value, json};

fn job(job_type: &str, payload: &Value) -> String {
    json!({ "type": job_type, "payload": payload }).to_string()
}

/// A worker that has the samples' images, templates and users in its folder.
fn with_samples(queue: &TestQueue) -> (Launch, std::path::PathBuf) {
    let launch = Launch::run(queue);
    let folder = launch.home().canonicalize().unwrap();
    samples::prepare(&folder).unwrap();
    let under = |name: &str| folder.join(name).display().to_string();
    let launch = launch
        .env("DRUMLINE_FILE_ROOT", &under("data"))
        .env("DRUMLINE_MAIL_OUTBOX", &under("outbox"))
        .env("DRUMLINE_MAIL_TEMPLATES", &under("mail-templates"));
    (launch, folder)
}

fn dimensions(path: &Path) -> (u32, u32) {
    image::image_dimensions(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[tokio::test]
async fn an_image_is_made_small_and_converted() {
    let queue = TestQueue::create("image", Setup::default()).await;
    let (launch, folder) = with_samples(&queue);
    let worker = launch.spawn();
    let file = |name: &str| format!("file://{}", folder.join(name).display());
    let output = |name: &str, side: u32, format: &str| {
        json!({
            "target": file(name),
            "operations": [{ "resize": { "width": side, "height": side } }, { "convert": { "format": format } }],
        })
    };
    let payload = json!({
        "source": file("data/images/lake.jpg"),
        "outputs": [output("data/small/320.webp", 320, "webp"), output("data/small/64.png", 64, "png")],
    });
    queue.send(&job("image.process", &payload)).await;
    eventually("it is done", async || folder.join("data/small/64.png").exists() && queue.is_empty().await)
        .await;
    let (width, height) = dimensions(&folder.join("data/images/lake.jpg"));
    for (name, side) in [("data/small/320.webp", 320), ("data/small/64.png", 64)] {
        let (w, h) = dimensions(&folder.join(name));
        assert_eq!(w.max(h), side, "{name}");
        assert!((f64::from(w) / f64::from(h) - f64::from(width) / f64::from(height)).abs() < 0.05, "{name}");
    }
    let labels = format!(r#"{{queue="{}",type="image.process",outcome="ack"}}"#, queue.name);
    assert_eq!(worker.metric(&format!("drumline_jobs_total{labels}")).await, 1);
    worker.stop().await;
}

#[tokio::test]
async fn a_mail_is_made_from_its_template_and_sent_to_the_user() {
    let queue = TestQueue::create("mail", Setup::default()).await;
    let (launch, folder) = with_samples(&queue);
    let worker = launch.spawn();
    let payload = json!({ "deliveryId": "d-1", "templateId": "welcome", "userId": "ada" });
    queue.send(&job("email.send", &payload)).await;
    let mail = folder.join("outbox/d-1.eml");
    eventually("it is done", async || mail.exists() && queue.is_empty().await).await;
    let text = std::fs::read_to_string(mail).unwrap();
    for line in ["To: ", "Subject: ", "Message-ID: <d-1@"] {
        assert!(text.contains(line), "{line:?} in\n{text}");
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_mail_to_nobody_is_rejected_with_its_reason() {
    let queue = TestQueue::create("nobody", Setup { max_receive_count: Some(2), ..Setup::default() }).await;
    let (launch, _) = with_samples(&queue);
    let worker = launch.spawn();
    let payload = json!({ "deliveryId": "d-1", "templateId": "welcome", "userId": "nobody" });
    let id = queue.send(&job("email.send", &payload)).await;
    eventually("it is in the DLQ", async || queue.dead_count().await == 1).await;
    let entry = worker.until_logged("failed for good", 1).await.remove(0);
    assert_eq!((&entry["type"], &entry["class"]), (&json!("email.send"), &json!("rejected")));
    assert!(entry["reason"].as_str().unwrap().contains("nobody"), "{entry}");
    assert_eq!(queue.take_dead().await[0].message_id(), Some(&*id));
    worker.stop().await;
}
