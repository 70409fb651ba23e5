//! The examples in Rust: the commands in the comment at the top of each are run, and its output is compared.

use drumline_tests::{
    FunctionLaunch, Invocation, LocalQueue, Setup, Walkthrough, binary, eventually, examples_folder,
    free_address, get,
};

/// Runs all commands of a comment, stops the example, and expects exactly the output.
async fn holds(walkthrough: Walkthrough) -> LocalQueue {
    let queue = LocalQueue::create(Setup { max_receive_count: Some(5), ..Setup::default() }).await;
    let worker = walkthrough.begin(&queue).await;
    eventually("every message is done or dead", async || queue.count() == 0).await;
    assert_eq!(worker.stop().await.stdout, walkthrough.output());
    queue
}

#[tokio::test]
async fn minimal() {
    let queue = holds(Walkthrough::of("minimal")).await;
    assert!(queue.dead().is_empty());
}

#[tokio::test]
async fn state() {
    holds(Walkthrough::of("state")).await;
}

#[tokio::test]
async fn idempotent() {
    let queue = holds(Walkthrough::of("idempotent").one_by_one()).await;
    assert_eq!(queue.dead().len(), 1, "the job with another payload");
}

#[tokio::test]
async fn chain() {
    holds(Walkthrough::of("chain")).await;
}

#[tokio::test]
async fn checkpoint() {
    holds(Walkthrough::of("checkpoint")).await;
}

#[tokio::test]
async fn batch() {
    let queue = holds(Walkthrough::of("batch")).await;
    assert_eq!(queue.dead().len(), 1, "the job without a name");
}

#[tokio::test]
async fn layers() {
    holds(Walkthrough::of("layers")).await;
}

#[tokio::test]
async fn testing() {
    holds(Walkthrough::of("testing")).await;
}

#[tokio::test]
async fn fifo() {
    let of = |account: &str, lines: &[String]| {
        let lines = lines.iter().filter(|line| line.starts_with(account));
        lines.cloned().collect::<Vec<_>>()
    };
    let setup = Setup { fifo: true, max_receive_count: Some(5), ..Setup::default() };
    let queue = LocalQueue::create(setup).await;
    let walkthrough = Walkthrough::of("fifo");
    let worker = walkthrough.begin(&queue).await;
    eventually("every step is done", async || queue.count() == 0).await;
    let printed = worker.stop().await.stdout;
    assert_eq!(printed.len(), walkthrough.output().len(), "{printed:?}");
    for account in ["alice", "bob"] {
        assert_eq!(of(account, &printed), of(account, walkthrough.output()));
    }
}

#[tokio::test]
async fn embedding() {
    let addr = free_address().to_string();
    let queue = LocalQueue::create(Setup { max_receive_count: Some(5), ..Setup::default() }).await;
    let walkthrough = Walkthrough::of("embedding").env("LISTEN", &addr).replace("127.0.0.1:3000", &addr);
    let worker = walkthrough.begin(&queue).await;
    let welcomed = format!("http://{addr}/welcomed");
    eventually("the job is done", async || get(&welcomed).await == Some((200, "1".to_owned()))).await;
    eventually("its message is deleted", async || queue.count() == 0).await;
    assert_eq!(worker.stop().await.stdout, walkthrough.output());
}

#[tokio::test]
async fn lambda() {
    let program = binary("drumline-examples", "lambda");
    let event = std::fs::read(examples_folder().join("lambda-event.json")).unwrap();
    let queue = LocalQueue::create(Setup::default()).await;
    let launch = FunctionLaunch::new().program(program).env("AWS_ENDPOINT_URL_SQS", &queue.endpoint_url());
    let function = launch.spawn().await;
    let answered = function.invoke(Invocation::new(event)).await;
    let walkthrough = Walkthrough::of("lambda");
    let [line, response] = walkthrough.output() else { panic!("{:?}", walkthrough.output()) };
    assert_eq!(answered.text(), response);
    eventually("its line is printed", async || function.stdout().contains(line)).await;
}

#[test]
fn every_example_is_short() {
    for entry in std::fs::read_dir(examples_folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= 100, "{} has {lines} lines", path.display());
        }
    }
}
