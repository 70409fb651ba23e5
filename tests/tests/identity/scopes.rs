//! Scopes in the settings, and the scope of a queue without such a setting.

use drumline_tests::{App, LocalQueue, Proxy, Setup, TestQueue, localstack};
use serde_json::Value;

use crate::envelopes::native;
use crate::{forwarding, identity_of, runs, stores, unique, until_settled};

async fn two_queues() -> [TestQueue; 2] {
    [TestQueue::create("first", Setup::default()).await, TestQueue::create("second", Setup::default()).await]
}

fn without_arn(answer: &mut Value) {
    answer["Attributes"].as_object_mut().map(|attributes| attributes.remove("QueueArn"));
}

#[tokio::test]
async fn an_empty_scope_is_the_queues_own() {
    for (scope, second) in [(String::new(), 1), (unique("shared"), 0)] {
        let (queues, app) = (two_queues().await, App::always_ok().await);
        let queues = queues.each_ref();
        let launch = forwarding(queues[0], &app, "memory:").env("DRUMLINE_SCOPE", &scope);
        let both = format!("{},{}", queues[0].url, queues[1].url);
        let worker = launch.env("DRUMLINE_QUEUE_URL", &both).spawn();
        let mut ids = Vec::new();
        for (index, queue) in queues.iter().enumerate() {
            ids.push(queue.send(&native("a.b", "j-1")).await);
            until_settled(&queues, &[&worker], &app, index + 1).await;
        }
        assert_eq!(runs(&app, &ids), [1, second], "{scope:?}");
        let expected = if scope.is_empty() { queues[0].arn() } else { scope };
        assert_eq!(identity_of(&app.calls()[0])[0], expected);
        worker.stop().await;
    }
}

#[tokio::test]
async fn single_types_share_a_scope_across_queues() {
    for store in stores() {
        let (queues, app) = (two_queues().await, App::always_ok().await);
        let queues = queues.each_ref();
        let launch = forwarding(queues[0], &app, &store);
        let file = format!("[scope_by_type]\n\"a.mail\" = {:?}", unique("mail"));
        std::fs::write(launch.home().join("scopes.toml"), file).unwrap();
        let both = format!("{},{}", queues[0].url, queues[1].url);
        let worker = launch.env("DRUMLINE_QUEUE_URL", &both).env("DRUMLINE_CONFIG", "scopes.toml").spawn();
        let mut ids = Vec::new();
        for (index, queue) in queues.iter().enumerate() {
            ids.extend(queue.send_all(&["a.mail", "a.b"].map(|job_type| native(job_type, "j-1"))).await);
            until_settled(&queues, &[&worker], &app, 2 * (index + 1)).await;
        }
        assert_eq!(runs(&app, &ids), [1, 1, 0, 1], "{store}");
        worker.stop().await;
    }
}

#[tokio::test]
async fn an_endpoint_that_reports_no_arn_leads_to_the_same_scope() {
    let (queue, app) = (TestQueue::create("no-arn", Setup::default()).await, App::always_ok().await);
    let proxy = Proxy::start(&localstack()).await;
    proxy.rewrite("GetQueueAttributes", without_arn);
    let worker = forwarding(&queue, &app, "memory:").env("AWS_ENDPOINT_URL", &proxy.url()).spawn();
    queue.send(&native("a.b", "j-1")).await;
    until_settled(&[&queue], &[&worker], &app, 1).await;
    assert_eq!(identity_of(&app.calls()[0])[0], queue.arn());
    worker.stop().await;
}

#[tokio::test]
async fn a_queue_without_arn_and_account_needs_a_scope() {
    let (queue, app) = (LocalQueue::create(Setup::default()).await, App::always_ok().await);
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    proxy.rewrite("GetQueueAttributes", without_arn);
    let launch = || {
        drumline_tests::Launch::new(&["run"])
            .env("DRUMLINE_QUEUE_URL", &format!("{}/queue/{}", proxy.url(), queue.name))
            .env("AWS_ENDPOINT_URL", &proxy.url())
            .env("DRUMLINE_WAIT_TIME", "1s")
            .env("DRUMLINE_FORWARD_TO", &app.url())
    };
    let finished = launch().finish().await;
    assert_eq!(finished.status, Some(64), "{}", finished.errors());
    assert!(finished.errors().contains("DRUMLINE_SCOPE"), "{}", finished.errors());

    let worker = launch().env("DRUMLINE_SCOPE", "orders").spawn();
    queue.send(&native("a.b", "j-1"));
    drumline_tests::eventually("it is done", async || app.count() == 1 && queue.count() == 0).await;
    assert_eq!(identity_of(&app.calls()[0]), ["orders", "a.b", "", "j-1"]);
    worker.stop().await;
}
