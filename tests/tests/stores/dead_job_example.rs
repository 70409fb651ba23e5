//! The example of a hook for dead jobs does what the comment at its top says.

use drumline_tests::{LocalQueue, Setup, Walkthrough, eventually, shared_store};

use crate::{POSTGRES, unique};

#[tokio::test]
async fn a_dead_job_has_one_row_and_one_alert() {
    let Some(store) = shared_store(POSTGRES) else { return };
    let queue = LocalQueue::create(Setup { max_receive_count: Some(5), ..Setup::default() }).await;
    let walkthrough =
        Walkthrough::of("dead_job").replace("alice", &unique("alice")).env("DRUMLINE_STORE_URL", &store);
    let worker = walkthrough.begin(&queue).await;
    eventually("the alert is sent", async || worker.stdout().len() == walkthrough.output().len()).await;
    eventually("every message is done or dead", async || queue.count() == 0).await;
    assert_eq!(worker.stop().await.stdout, walkthrough.output());
    assert_eq!(queue.dead().len(), 1);
}
