//! The example of a row and its mark in one transaction does the same as the comment at its top.

use drumline_tests::{LocalQueue, Setup, Walkthrough, eventually, shared_store};

use crate::{POSTGRES, unique};

#[tokio::test]
async fn a_credit_is_booked_once() {
    let Some(store) = shared_store(POSTGRES) else { return };
    let queue = LocalQueue::create(Setup { max_receive_count: Some(5), ..Setup::default() }).await;
    let walkthrough = Walkthrough::of("postgres_transaction")
        .replace("alice", &unique("alice"))
        .env("DRUMLINE_STORE_URL", &store)
        .one_by_one();
    let worker = walkthrough.begin(&queue).await;
    eventually("every message is done", async || queue.count() == 0).await;
    assert_eq!(worker.stop().await.stdout, walkthrough.output());
    assert!(queue.dead().is_empty());
}
