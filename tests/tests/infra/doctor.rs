//! `drumline doctor`: it finds no problem in the project's own templates and queues, and the expected ones in others.

use std::path::PathBuf;

use drumline_tests::{
    App, Deployment, Finished, Launch, Setup, Stack, TestQueue, can_deploy, eventually, localstack, status_of,
};
use serde_json::Value;

fn infra(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../infra");
    root.join(path).canonicalize().unwrap().display().to_string()
}

async fn template(files: &[&str]) -> Finished {
    let args: Vec<&str> =
        ["doctor", "template", "--output", "json"].into_iter().chain(files.iter().copied()).collect();
    Launch::new(&args).finish().await
}

fn doctor(queue: &TestQueue) -> Launch {
    Launch::new(&["doctor", "queue", "--output", "json"])
        .env("DRUMLINE_QUEUE_URL", &queue.url)
        .env("AWS_ENDPOINT_URL", &localstack())
}

fn findings(finished: &Finished) -> Vec<Value> {
    finished.stdout.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns the rules with findings, each once, in order.
fn rules(finished: &Finished) -> Vec<String> {
    let mut rules: Vec<String> =
        findings(finished).iter().map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect();
    rules.sort();
    rules.dedup();
    rules
}

#[tokio::test]
async fn the_projects_own_templates_are_well() {
    for files in [
        &["cloudformation"][..],
        &["cloudformation/queue.yaml", "sam"],
        &["terraform/modules/queue"],
        &["terraform/modules/queue-fifo"],
        &["terraform/modules/worker-ec2"],
        &["terraform/modules/worker-fargate"],
        &["terraform/modules/worker-lambda"],
        &["terraform/examples/queue-and-fargate-worker"],
        &["terraform/examples/queue-and-lambda"],
    ] {
        let paths: Vec<String> = files.iter().map(|file| infra(file)).collect();
        let finished = template(&paths.iter().map(String::as_str).collect::<Vec<_>>()).await;
        assert_eq!(finished.status, Some(0), "{files:?}: {:#?}", findings(&finished));
    }
}

#[tokio::test]
async fn doctor_finds_an_invalid_environment_in_a_template() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("worker.yaml");
    let text = std::fs::read_to_string(infra("cloudformation/worker-fargate.yaml")).unwrap();
    for (setting, broken, words) in [
        ("${ShutdownGraceSeconds}s", "soon", "DRUMLINE_SHUTDOWN_GRACE = \"soon\""),
        ("DRUMLINE_CONCURRENCY", "DRUMLINE_CONCURENCY", "DRUMLINE_CONCURENCY: no such setting"),
    ] {
        assert!(text.contains(setting), "{setting}");
        std::fs::write(&path, text.replace(setting, broken)).unwrap();
        let finished = template(&[&path.display().to_string()]).await;
        assert_eq!(finished.status, Some(1), "{broken}");
        let told = findings(&finished);
        assert!(
            told.iter().any(|finding| finding["rule"] == "E09"
                && finding["found"].as_str().unwrap().contains(words)
                && finding["place"].as_str().unwrap().contains("worker.yaml:")),
            "{words:?} in {told:#?}"
        );
    }
}

#[tokio::test]
async fn what_is_no_template_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    for (path, words) in [
        (write("broken.yaml", ": {"), "is no template"),
        (empty.display().to_string(), "holds no template"),
        (folder.path().join("missing.yaml").display().to_string(), "cannot be read"),
    ] {
        let finished = template(&[&path]).await;
        assert_eq!(finished.status, Some(64), "{path}");
        assert!(finished.errors().contains(words), "{words:?} in {}", finished.errors());
    }
}

#[tokio::test]
async fn deployed_queues_are_well() {
    for (template, more) in
        [("queue.yaml", &[][..]), ("queue-fifo.yaml", &[("DeadLetterBreaksOrder", "accepted")])]
    {
        let stack = Stack::deploy(template, more).await;
        let finished = doctor(&stack.queue("")).finish().await;
        assert_eq!(finished.status, Some(0), "{template}: {:#?} {}", findings(&finished), finished.errors());
    }
}

#[tokio::test]
async fn a_queue_made_in_a_hurry_is_told_what_it_lacks() {
    let queue = TestQueue::create("hurry", Setup { max_receive_count: Some(2), ..Setup::default() }).await;
    let finished = doctor(&queue).env("DRUMLINE_RETRY", "schedule(1m,5m)").finish().await;
    assert_eq!(finished.status, Some(1), "{}", finished.errors());
    let told = rules(&finished);
    // No policy against plain HTTP, short polling, too few receives, a DLQ that deletes first and is open to all queues, a
    // schedule longer than the receives, and a DLQ before a deploy has ended.
    for rule in ["P01", "Q11", "Q03", "Q04", "Q07", "R01", "R03"] {
        assert!(told.iter().any(|found| found == rule), "{rule} in {told:?}");
    }
    for finding in findings(&finished) {
        for key in ["place", "found", "reason", "mend"] {
            assert!(finding[key].as_str().is_some_and(|text| !text.is_empty()), "{key} of {finding}");
        }
    }
    let alone = TestQueue::create("alone", Setup { max_receive_count: None, ..Setup::default() }).await;
    assert!(rules(&doctor(&alone).finish().await).contains(&"Q01".to_owned()), "no DLQ");
}

#[tokio::test]
async fn a_missing_queue_is_no_finding() {
    let queue = TestQueue::create("gone", Setup::default()).await;
    queue.client.delete_queue().queue_url(&queue.url).send().await.unwrap();
    let finished = doctor(&queue).finish().await;
    assert_eq!(finished.status, Some(69));
    assert!(finished.errors().contains("does not exist"), "{}", finished.errors());
    assert!(finished.stdout.is_empty());
}

#[tokio::test]
async fn the_mappings_of_a_queue_are_judged_with_it() {
    if !can_deploy() {
        return;
    }
    let stack = Stack::deploy("queue.yaml", &[]).await;
    let queue = stack.queue("");
    let function = Deployment::forwarding_to(&App::always_ok().await).timeout_secs(300).create("slow").await;
    function.feed_from(&queue, 10).await;
    let finished = doctor(&queue).finish().await;
    assert_eq!(finished.status, Some(1), "{}", finished.errors());
    // Six times the function's timeout is more than the queue's 900 s, and it can use all of the account's concurrency.
    assert_eq!(rules(&finished), ["L01", "L03"], "{:#?}", findings(&finished));
}

#[tokio::test]
async fn a_running_consumers_times_are_held_against_the_settings() {
    let stack = Stack::deploy("queue.yaml", &[]).await;
    let queue = stack.queue("");
    let app = App::always_ok().await;
    let worker = Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    eventually("it answers", async || status_of(&worker.endpoint("/readyz")).await == Some(200)).await;
    let addr = worker.endpoint("").trim_start_matches("http://").trim_end_matches('/').to_owned();
    let check = || doctor(&queue).env("DRUMLINE_HTTP_ADDR", &addr);
    let quiet = check().finish().await;
    assert!(quiet.errors().contains("has run too little"), "{}", quiet.errors());
    for _ in 0..20 {
        queue.send("{}").await;
    }
    eventually("all are done", async || app.count() == 20 && queue.is_empty().await).await;
    assert_eq!(check().finish().await.status, Some(0));
    let hasty =
        check().env("DRUMLINE_SHUTDOWN_GRACE", "1ms").env("DRUMLINE_HANDLER_TIMEOUT", "1ms").finish().await;
    assert_eq!(rules(&hasty), ["D02", "D03"], "{:#?}", findings(&hasty));
    assert_eq!(worker.stop().await.status, Some(0));
}

#[tokio::test]
async fn a_worker_warns_at_its_start() {
    let queue = TestQueue::create("warned", Setup { max_receive_count: Some(3), ..Setup::default() }).await;
    let worker = Launch::run(&queue).env("DRUMLINE_RETRY", "schedule(1s,2s,3s)").spawn();
    worker.until_logged("consuming", 1).await;
    let warned = worker.logged_beginning("the retry policy, schedule(1s,2s,3s)");
    assert_eq!((&warned[0]["rule"], &warned[0]["level"]), (&"R01".into(), &"WARN".into()), "{warned:?}");
    assert_eq!(worker.stop().await.status, Some(0));
}

#[tokio::test]
async fn an_unseen_dlq_is_said_and_no_finding() {
    let stack = Stack::deploy("queue.yaml", &[]).await;
    let queue = stack.queue("");
    queue.client.delete_queue().queue_url(&queue.dead_letter_url).send().await.unwrap();
    let finished = doctor(&queue).finish().await;
    assert!(finished.errors().contains("not looked at: the DLQ"), "{}", finished.errors());
    assert!(!rules(&finished).contains(&"Q01".to_owned()), "{:#?}", findings(&finished));
}
