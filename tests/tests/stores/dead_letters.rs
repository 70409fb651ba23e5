//! The reasons of dead letters outlive the workers in which they failed: another machine finds them in the store.

use drumline_tests::{
    Answer, App, Finished, Launch, Setup, TestQueue, create_table, eventually, localstack, shared_store,
};
use serde_json::{Value, json};

use crate::{DYNAMODB, POSTGRES, REDIS, job, sharing, unique};

/// The store's URL, and the variables that its clients need beside it.
type Store = (String, Vec<(&'static str, String)>);

async fn stores() -> Vec<Store> {
    let mut stores: Vec<Store> =
        [REDIS, POSTGRES].into_iter().filter_map(shared_store).map(|url| (url, Vec::new())).collect();
    if let Some(endpoint) = shared_store(DYNAMODB) {
        let table = unique("reasons");
        create_table(&endpoint, &table).await;
        stores.push((format!("dynamodb://{table}"), vec![("AWS_ENDPOINT_URL_DYNAMODB", endpoint)]));
    }
    stores
}

fn with(launch: Launch, (url, variables): &Store) -> Launch {
    let launch = launch.env("DRUMLINE_STORE_URL", url);
    variables.iter().fold(launch, |launch, (name, value)| launch.env(name, value))
}

/// `drumline dlq ls` on a machine that runs no worker.
async fn ls(queue: &TestQueue, store: &Store, output: &str) -> Finished {
    let launch = Launch::new(&["dlq", "ls", "--queue-url", &queue.url, "--output", output]);
    with(launch.env("AWS_ENDPOINT_URL", &localstack()), store).finish().await
}

#[tokio::test]
async fn dlq_ls_says_why_after_the_worker_is_gone() {
    for store in stores().await {
        let queue = TestQueue::create("why", Setup::default()).await;
        let app = App::start(|_| async { Answer::status(422).body("no such customer") }).await;
        let worker = with(sharing(&queue, &store.0).env("DRUMLINE_FORWARD_TO", &app.url()), &store).spawn();
        queue.send(&job("invoice.send", &unique("why"), &json!({}))).await;
        eventually("it is dead", async || queue.dead_count().await == 1).await;
        worker.kill().await;

        let finished = ls(&queue, &store, "json").await;
        assert_eq!(finished.status, Some(0), "{}", finished.errors());
        let letter: Value = serde_json::from_str(&finished.stdout[0]).unwrap();
        assert_eq!(
            (&letter["type"], &letter["state"]),
            (&json!("invoice.send"), &json!("failed")),
            "{letter}"
        );
        assert!(letter["why"]["reason"].as_str().unwrap().contains("no such customer"), "{letter}");
        let finished = ls(&queue, &store, "table").await;
        assert!(finished.stdout.join("\n").contains("no such customer"), "{finished:?}");

        // With the memory of a process that has ended, the letter is there and its reason is missing.
        let finished = ls(&queue, &("memory:".to_owned(), Vec::new()), "json").await;
        assert!(finished.stdout[0].contains("no history"), "{finished:?}");
    }
}
