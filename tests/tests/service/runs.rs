//! The service's programs at work.

use drumline_tests::{FunctionLaunch, Invocation, Launch, LocalQueue, Record, Setup, eventually, sqs_event};

use crate::build::program;

const JOB: &str = r#"{"type":"greet","payload":{"name":"Ada"}}"#;

#[tokio::test]
async fn the_worker_does_a_job_and_drains() {
    let program = program("service-worker");
    let queue = LocalQueue::create(Setup::default()).await;
    let worker = Launch::on(&queue).program(program).spawn();
    let id = queue.send(JOB);
    eventually("the job has left the queue", async || queue.find(&id).is_none()).await;
    let finished = worker.stop().await;
    assert_eq!(finished.stdout, ["Hello, Ada!"]);
}

#[tokio::test]
async fn the_function_does_the_same_job() {
    let program = program("service-function");
    let function = FunctionLaunch::new().program(program).spawn().await;
    let event = sqs_event(&[Record::hand_made(JOB)]);
    function.invoke(Invocation::new(event)).await.expect_all_done();
    assert!(function.stdout().iter().any(|line| line == "Hello, Ada!"), "{:?}", function.stdout());
}
