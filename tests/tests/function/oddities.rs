//! A Runtime API with invalid responses, and SIGTERM.

use drumline_tests::{
    Answer, App, FunctionLaunch, Invocation, LocalQueue, Record, Setup, Signal, eventually, sqs_event,
};
use http::Response;
use tokio::sync::watch;

use crate::apps::{obedient, run};

/// Returns a response with some of the headers of an invocation.
fn answer(status: u16, headers: &[(&str, &str)], body: &'static str) -> Response<&'static str> {
    let answer = Response::builder().status(status);
    headers.iter().fold(answer, |answer, (name, value)| answer.header(*name, *value)).body(body).unwrap()
}

#[tokio::test]
async fn an_invalid_invocation_ends_the_process_with_its_reason() {
    const ID: (&str, &str) = ("lambda-runtime-aws-request-id", "r-1");
    const DEADLINE: &str = "lambda-runtime-deadline-ms";
    let table = [
        ("an error of the service", answer(500, &[], "{}"), "aws-request-id"),
        ("gone", answer(410, &[], ""), "aws-request-id"),
        ("an empty answer", answer(200, &[], ""), "aws-request-id"),
        ("no deadline", answer(200, &[ID], "{}"), "deadline-ms"),
        ("a deadline that is no number", answer(200, &[ID, (DEADLINE, "soon")], "{}"), "invalid digit"),
    ];
    let (app, queue) = (obedient().await, LocalQueue::create(Setup::default()).await);
    for (name, odd, reason) in table {
        let function = FunctionLaunch::forwarding(&app, &queue).spawn().await;
        function.api().answer_oddly(odd);
        let (finished, _) = function.finish().await;
        let errors = finished.errors();
        assert_eq!(finished.status, Some(1), "{name}: {errors}");
        assert!(errors.contains("Runtime API") && errors.contains(reason), "{name}: {errors}");
        assert!(!errors.contains("panicked"), "{name}: {errors}");
    }
}

#[tokio::test]
async fn a_foreign_environment_ends_the_process_with_its_reason() {
    let (app, queue) = (obedient().await, LocalQueue::create(Setup::default()).await);
    let launch = FunctionLaunch::forwarding(&app, &queue).without("AWS_LAMBDA_FUNCTION_NAME");
    let (finished, _) = launch.spawn().await.finish().await;
    let errors = finished.errors();
    assert_eq!(finished.status, Some(1), "{errors}");
    assert!(errors.contains("AWS_LAMBDA_FUNCTION_NAME") && !errors.contains("panicked"), "{errors}");
}

#[tokio::test]
async fn a_response_that_is_refused_leaves_the_function_at_work() {
    let (app, queue) = (obedient().await, LocalQueue::create(Setup::default()).await);
    for status in [410, 500] {
        let function = FunctionLaunch::forwarding(&app, &queue).spawn().await;
        function.api().answer_posts_with(status);
        run(&function, &[Record::hand_made("200 a")]).await.expect_all_done();
        run(&function, &[Record::hand_made("200 b")]).await.expect_all_done();
    }
}

#[tokio::test]
async fn a_sigterm_lets_an_invocation_finish() {
    let (open, gate) = watch::channel(false);
    let app = App::start(move |_| {
        let mut gate = gate.clone();
        async move {
            drop(gate.wait_for(|open| *open).await);
            Answer::ok()
        }
    })
    .await;
    let queue = LocalQueue::create(Setup::default()).await;
    let function = FunctionLaunch::forwarding(&app, &queue).spawn().await;
    let pending = function.begin(Invocation::new(sqs_event(&[Record::hand_made("a")])));
    eventually("the job runs", async || app.calls().len() == 1).await;
    function.signal(Signal::TERM);
    let words = "SIGTERM: no new invocation starts";
    eventually("the signal is noticed", async || function.logged(words).len() == 1).await;
    open.send_replace(true);
    pending.answered().await.expect_all_done();
    let (finished, _) = function.finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
}

#[tokio::test]
async fn a_sigterm_ends_an_idle_function_at_once() {
    let (app, queue) = (obedient().await, LocalQueue::create(Setup::default()).await);
    let function = FunctionLaunch::forwarding(&app, &queue).spawn().await;
    run(&function, &[Record::hand_made("200 a")]).await.expect_all_done();
    function.signal(Signal::TERM);
    assert_eq!(function.finish().await.0.status, Some(0));
}
