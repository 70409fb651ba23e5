//! What a worker does as a task on ECS: it answers its health check, and has itself protected while it is busy.

use std::time::Duration;

use drumline_tests::{Answer, App, Finished, Launch, Setup, Signal, TestQueue, eventually, free_address};

const UNAVAILABLE: i32 = 69;
const USAGE: i32 = 64;

async fn health(args: &[&str], addr: &str) -> Finished {
    let args: Vec<&str> = ["health"].into_iter().chain(args.iter().copied()).collect();
    Launch::new(&args).env("DRUMLINE_HTTP_ADDR", addr).finish().await
}

#[tokio::test]
async fn its_health_is_told_until_it_has_ended() {
    let queue = TestQueue::create("healthy", Setup::default()).await;
    let app = App::start(|_| std::future::pending::<Answer>()).await;
    let addr = free_address().to_string();
    let worker = Launch::run(&queue)
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_HTTP_ADDR", &addr)
        .env("DRUMLINE_SHUTDOWN_GRACE", "30s")
        .spawn();
    queue.send("{}").await;
    eventually("it runs", async || app.count() == 1).await;
    for (args, answer) in [(&[][..], "ok"), (&["--ready"], "ready"), (&["--http-addr", &addr], "ok")] {
        let finished = health(args, &addr).await;
        assert_eq!(finished.status, Some(0), "{args:?}: {}", finished.errors());
        assert_eq!(finished.stdout, [answer], "{args:?}");
    }
    let everywhere = addr.replace("127.0.0.1", "0.0.0.0");
    assert_eq!(health(&[], &everywhere).await.status, Some(0), "what listens everywhere listens here");

    worker.signal(Signal::TERM);
    worker.until_logged("draining", 1).await;
    assert_eq!(health(&[], &addr).await.status, Some(0), "a draining worker is not to be killed");
    let draining = health(&["--ready"], &addr).await;
    assert_eq!(draining.status, Some(UNAVAILABLE));
    assert!(draining.errors().contains("not ready: draining"), "{}", draining.errors());

    worker.kill().await;
    let gone = health(&[], &addr).await;
    assert_eq!(gone.status, Some(UNAVAILABLE));
    assert!(gone.errors().contains("does not answer"), "{}", gone.errors());
}

#[tokio::test]
async fn a_health_check_that_cannot_be_made_is_wrong_usage() {
    for (args, addr, word) in [
        (&[][..], "off", "is off"),
        (&[], "9464", "DRUMLINE_HTTP_ADDR"),
        (&["--http-addr", "here"], "off", "here"),
    ] {
        let finished = health(args, addr).await;
        assert_eq!(finished.status, Some(USAGE), "{args:?} {addr}: {}", finished.errors());
        assert!(finished.errors().contains(word), "{}", finished.errors());
    }
}

/// A worker on ECS, whose agent is `agent`.
fn on_ecs(queue: &TestQueue, app: &App, agent: &str) -> Launch {
    Launch::run(queue)
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_TASK_PROTECTION", "on")
        .env("ECS_AGENT_URI", agent)
}

async fn slow_app() -> App {
    App::start(|_| async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        Answer::ok()
    })
    .await
}

#[tokio::test]
async fn a_busy_task_is_protected_and_an_idle_one_is_not() {
    let queue = TestQueue::create("protected", Setup::default()).await;
    let app = slow_app().await;
    let agent = App::start(|_| async {
        Answer::ok()
            .body(r#"{"protection":{"ExpirationDate":"2030-01-01T00:00:00Z","ProtectionEnabled":true}}"#)
    })
    .await;
    let worker = on_ecs(&queue, &app, &format!("{}/api/task-1", agent.root())).spawn();
    worker.until_logged("consuming", 1).await;
    assert_eq!(agent.count(), 0, "nothing is in hand");

    queue.send("{}").await;
    eventually("it is protected", async || agent.count() == 1).await;
    let call = &agent.calls()[0];
    assert_eq!(call.line, "PUT /api/task-1/task-protection/v1/state");
    assert_eq!(call.header("content-type"), Some("application/json"));
    assert_eq!(call.body, r#"{"ExpiresInMinutes":20,"ProtectionEnabled":true}"#);

    queue.send("{}").await;
    eventually("it is given up", async || agent.count() == 2).await;
    assert_eq!(agent.calls()[1].body, r#"{"ProtectionEnabled":false}"#);
    let ended: Vec<_> = app.calls().into_iter().map(|call| call.ended).collect();
    let until = agent.calls()[1].begun;
    assert!(ended.iter().all(|ended| ended.is_some_and(|(at, _)| at < until)), "not before all was done");
    assert_eq!(worker.stop().await.status, Some(0));
}

#[tokio::test]
async fn an_agent_that_refuses_is_told_of_and_stops_nothing() {
    const REFUSAL: &str = r#"{"failure":{"Arn":"task-1","Reason":"DEPLOYMENT_BLOCKED","Detail":null}}"#;
    const ERROR: &str =
        r#"{"error":{"Arn":"task-1","Code":"AccessDeniedException","Message":"not allowed"}}"#;
    for (answer, words) in [
        (Answer::ok().body(REFUSAL), "DEPLOYMENT_BLOCKED"),
        (Answer::status(400).body(ERROR), "AccessDeniedException: not allowed"),
        (Answer::status(500), "500 Internal Server Error"),
    ] {
        let queue = TestQueue::create("refused", Setup::default()).await;
        let app = slow_app().await;
        let agent = App::start(move |_| {
            let answer = answer.clone();
            async move { answer }
        })
        .await;
        let worker = on_ecs(&queue, &app, &agent.root()).spawn();
        queue.send("{}").await;
        let logged = worker.until_logged("task protection could not be changed, trying again", 1).await;
        assert!(logged[0]["error"].as_str().unwrap().contains(words), "{logged:?}");
        eventually("the job is done all the same", async || app.count() >= 1 && queue.is_empty().await).await;
        assert_eq!(worker.stop().await.status, Some(0));
    }
}

#[tokio::test]
async fn without_an_agent_the_worker_says_so_and_works() {
    let queue = TestQueue::create("elsewhere", Setup::default()).await;
    let app = App::always_ok().await;
    let worker = on_ecs(&queue, &app, "").without("ECS_AGENT_URI").spawn();
    queue.send("{}").await;
    eventually("the job is done", async || app.count() >= 1 && queue.is_empty().await).await;
    let told = worker.logged("the task is not protected: a scale-in may stop it while it is busy");
    assert!(told[0]["problem"].as_str().unwrap().contains("ECS_AGENT_URI is not set"), "{told:?}");
    assert_eq!(worker.stop().await.status, Some(0));
}
