//! The topic's template: each queue gets the messages that pass its filter, unchanged.

use drumline_jobs::samples;
use drumline_tests::{
    App, Counts, Launch, Setup, Stack, TestQueue, Worker, eventually, publish, publish_typed, topic_before,
};
use serde_json::json;

/// Two types of jobs in lists of queues: one goes to three queues, the other to two.
const LISTS: [(&str, &str); 6] = [
    ("FirstGroup", "audit"),
    ("SecondGroup", "search"),
    ("ThirdGroup", "pager"),
    ("FirstTypes", "app.critical,app.info"),
    ("SecondTypes", "app.info,app.critical"),
    ("ThirdTypes", "app.critical"),
];

/// The three queues of a fan-out by lists.
fn three_queues(stack: &Stack) -> [TestQueue; 3] {
    ["First", "Second", "Third"].map(|prefix| stack.queue(prefix))
}

/// Starts one worker for all queues, so that only the scope of an identity keeps the copies of a job apart.
fn worker_of(queues: &[TestQueue; 3], app: &App) -> Worker {
    let urls = queues.each_ref().map(|queue| queue.url.as_str()).join(",");
    Launch::run(&queues[0]).env("DRUMLINE_QUEUE_URL", &urls).env("DRUMLINE_FORWARD_TO", &app.url()).spawn()
}

/// The queue and the body of each run, in order.
fn runs(app: &App) -> Vec<(String, String)> {
    let run = |call: drumline_tests::Call| {
        let queue = call.header("x-aws-sqsd-queue").unwrap().rsplit('/').next().unwrap().to_owned();
        (queue, call.body)
    };
    let mut runs: Vec<_> = app.calls().into_iter().map(run).collect();
    runs.sort();
    runs
}

async fn until_done(queues: &[TestQueue; 3], app: &App, count: usize) {
    eventually("all copies are done", async || {
        let mut is_empty = app.count() >= count;
        for queue in queues {
            is_empty = is_empty && queue.is_empty().await;
        }
        is_empty
    })
    .await;
}

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
async fn a_type_in_several_lists_runs_once_in_each_of_their_queues() {
    let stack = Stack::deploy("fan-out.yaml", &LISTS).await;
    let queues = three_queues(&stack);
    let app = App::always_ok().await;
    let worker = worker_of(&queues, &app);
    let job = |job_type: &str| json!({ "jobId": "j-1", "type": job_type, "payload": {} }).to_string();
    let (critical, info) = (job("app.critical"), job("app.info"));
    for body in [&critical, &info, &job("app.debug"), &job("audit.log")] {
        publish(stack.output("TopicArn"), body).await;
    }
    until_done(&queues, &app, 5).await;
    let [audit, search, pager] = queues.each_ref().map(|queue| queue.name.clone());
    let mut expected = vec![
        (audit.clone(), critical.clone()),
        (audit, info.clone()),
        (search.clone(), critical.clone()),
        (search, info),
        (pager, critical.clone()),
    ];
    expected.sort();
    assert_eq!(runs(&app), expected);
    // The same job is already done in each queue.
    publish(stack.output("TopicArn"), &critical).await;
    worker.until_logged("already done: deleted without a run", 3).await;
    until_done(&queues, &app, 5).await;
    assert_eq!(runs(&app), expected);
    worker.stop().await;
}

#[tokio::test]
async fn type_attributes_choose_the_queues_of_bodies_without_json() {
    let stack = Stack::deploy("fan-out.yaml", &[&LISTS[..], &[("FilterOn", "attribute")]].concat()).await;
    let queues = three_queues(&stack);
    let app = App::always_ok().await;
    let worker = worker_of(&queues, &app);
    let topic = stack.output("TopicArn");
    publish_typed(topic, "the disk is full", "app.critical").await;
    publish_typed(topic, "a user logged in", "app.info").await;
    publish_typed(topic, "nothing", "app.debug").await;
    // This topic does not filter by the type in the body.
    publish(topic, r#"{"type":"app.critical","payload":{}}"#).await;
    until_done(&queues, &app, 5).await;
    let bodies: Vec<String> = runs(&app).into_iter().map(|(_, body)| body).collect();
    let count = |body: &str| bodies.iter().filter(|found| *found == body).count();
    assert_eq!((count("the disk is full"), count("a user logged in"), bodies.len()), (3, 2, 5), "{bodies:?}");
    worker.stop().await;
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
