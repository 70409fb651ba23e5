//! The topic's template: each queue gets what its filter lets through, as it was published.

use drumline_jobs::samples;
use drumline_tests::{App, Counts, Launch, Setup, Stack, TestQueue, eventually, publish, topic_before};
use serde_json::json;

fn job(job_type: &str) -> String {
    json!({ "type": job_type, "payload": { "n": 1 } }).to_string()
}

#[tokio::test]
async fn a_published_job_reaches_the_queue_of_its_group_and_no_other() {
    let stack = Stack::deploy("fan-out.yaml", &[]).await;
    let (images, mails) = (stack.queue("First"), stack.queue("Second"));
    let app = App::always_ok().await;
    let topic = stack.output("TopicArn");
    publish(topic, &job("report.generate")).await;
    publish(topic, &job("email.send")).await;
    publish(topic, &job("image.process")).await;
    let worker = Launch::run(&images).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    eventually("its job is done", async || app.count() == 1 && images.is_empty().await).await;
    assert_eq!(app.calls()[0].body, job("image.process"), "raw, without an envelope");
    assert_eq!(mails.counts().await, Counts { visible: 1, ..Counts::NONE });
    assert_eq!(worker.stop().await.status, Some(0));
}

#[tokio::test]
async fn a_job_in_an_envelope_of_sns_is_unwrapped() {
    let queue = TestQueue::create("enveloped", Setup::default()).await;
    let topic = topic_before(&queue).await;
    let launch = Launch::run(&queue);
    let folder = launch.home().canonicalize().unwrap();
    samples::prepare(&folder).unwrap();
    let outbox = folder.join("outbox");
    let worker = launch
        .env("DRUMLINE_MAIL_OUTBOX", &outbox.display().to_string())
        .env("DRUMLINE_MAIL_TEMPLATES", &folder.join("mail-templates").display().to_string())
        .spawn();
    let payload = json!({ "deliveryId": "d-1", "templateId": "welcome", "userId": "ada" });
    publish(&topic, &json!({ "type": "email.send", "payload": payload }).to_string()).await;
    let mail = outbox.join("d-1.eml");
    eventually("the mail is sent", async || mail.exists() && queue.is_empty().await).await;
    assert_eq!(worker.stop().await.status, Some(0));
}
