//! A worker as a task on ECS protects its task while a handler runs for longer than the shutdown grace.

use std::time::Duration;

use drumline_tests::{Answer, App, Launch, LocalQueue, Setup, eventually};

const GRACE: Duration = Duration::from_secs(1);

/// Returns a worker on ECS in forward mode, with the agent at `agent`.
fn on_ecs(queue: &LocalQueue, app: &App, agent: &str) -> Launch {
    Launch::on(queue)
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_TASK_PROTECTION", "on")
        .env("DRUMLINE_SHUTDOWN_GRACE", &format!("{}s", GRACE.as_secs()))
        .env("ECS_AGENT_URI", agent)
}

/// Starts an application that takes the message's number of milliseconds.
async fn app() -> App {
    App::start(async |call| {
        tokio::time::sleep(Duration::from_millis(call.body.parse().unwrap())).await;
        Answer::ok()
    })
    .await
}

async fn agent() -> App {
    App::start(async |_| {
        Answer::ok()
            .body(r#"{"protection":{"ExpirationDate":"2030-01-01T00:00:00Z","ProtectionEnabled":true}}"#)
    })
    .await
}

#[tokio::test]
async fn a_task_is_protected_while_a_handler_is_older_than_the_grace() {
    let (queue, app, agent) = (LocalQueue::create(Setup::default()).await, app().await, agent().await);
    let worker = on_ecs(&queue, &app, &format!("{}/api/task-1", agent.root())).spawn();
    for _ in 0..20 {
        queue.send("50");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    eventually("short jobs are done", async || app.count() == 20 && queue.count() == 0).await;
    assert_eq!(agent.count(), 0, "short jobs need no protection");

    queue.send("4000");
    eventually("a long job is protected", async || agent.count() == 1).await;
    let call = &agent.calls()[0];
    assert_eq!(call.line, "PUT /api/task-1/task-protection/v1/state");
    assert_eq!(call.header("content-type"), Some("application/json"));
    assert_eq!(call.body, r#"{"ExpiresInMinutes":20,"ProtectionEnabled":true}"#);
    let long = app.calls().pop().unwrap();
    assert!(call.begun > long.begun + GRACE / 2, "{:?}", call.begun - long.begun);
    assert!(long.ended.is_none(), "it runs");

    eventually("the protection is given up", async || agent.count() == 2).await;
    assert_eq!(agent.calls()[1].body, r#"{"ProtectionEnabled":false}"#);
    let (ended, _) = app.calls().pop().unwrap().ended.expect("the job has ended");
    assert!(ended < agent.calls()[1].begun);
    worker.stop().await;
}

#[tokio::test]
async fn an_agent_that_refuses_is_logged_and_stops_nothing() {
    const REFUSAL: &str = r#"{"failure":{"Arn":"task-1","Reason":"DEPLOYMENT_BLOCKED","Detail":null}}"#;
    const ERROR: &str =
        r#"{"error":{"Arn":"task-1","Code":"AccessDeniedException","Message":"not allowed"}}"#;
    for (answer, words) in [
        (Answer::ok().body(REFUSAL), "DEPLOYMENT_BLOCKED"),
        (Answer::status(400).body(ERROR), "AccessDeniedException: not allowed"),
        (Answer::status(500), "500 Internal Server Error"),
    ] {
        let (queue, app) = (LocalQueue::create(Setup::default()).await, app().await);
        let agent = App::start(move |_| {
            let answer = answer.clone();
            async move { answer }
        })
        .await;
        let worker = on_ecs(&queue, &app, &agent.root()).spawn();
        queue.send("3000");
        let logged = worker.until_logged("task protection could not be changed, trying again", 1).await;
        assert!(logged[0]["error"].as_str().unwrap().contains(words), "{logged:?}");
        eventually("the job is done", async || app.count() >= 1 && queue.count() == 0).await;
        worker.stop().await;
    }
}

#[tokio::test]
async fn without_an_agent_the_worker_logs_it_and_works() {
    let (queue, app) = (LocalQueue::create(Setup::default()).await, app().await);
    let worker = on_ecs(&queue, &app, "").without("ECS_AGENT_URI").spawn();
    queue.send("0");
    eventually("the job is done", async || app.count() >= 1 && queue.count() == 0).await;
    let logged = worker.logged(
        "the task is not protected: a scale-in may stop it while a handler outlasts the shutdown grace",
    );
    assert!(logged[0]["problem"].as_str().unwrap().contains("ECS_AGENT_URI is not set"), "{logged:?}");
    worker.stop().await;
}
