//! `drumline dlq replay --native` while SQS does not respond.

use drumline_tests::{Fault, Launch};

use super::dlq_doubt::{behind_a_proxy, run};
use super::dlq_replay::result;

#[tokio::test]
async fn a_look_at_the_task_that_fails_in_passing_is_passed_over() {
    let (queue, proxy, folder) = behind_a_proxy(false, 30).await;
    proxy.fail("ListMessageMoveTasks", Fault::Throttled, 2);
    let finished = run(&queue, &proxy, &folder, &["--native", "--yes"]).await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert_eq!((result(&finished)["state"].as_str(), queue.count()), (Some("completed"), 30));
}

#[tokio::test]
async fn a_move_that_cannot_be_followed_can_be_cancelled() {
    let (queue, proxy, folder) = behind_a_proxy(false, 30).await;
    proxy.fail_always("ListMessageMoveTasks", Fault::Denied);
    let args = ["--native", "--yes", "--rate", "1/s", "--name", "unseen"];
    let finished = run(&queue, &proxy, &folder, &args).await;
    assert_eq!(finished.status, Some(69), "{}", finished.errors());
    let shown = Launch::new(&["dlq", "actions", "show", "unseen"]);
    let shown = shown.env("XDG_STATE_HOME", &folder.path().display().to_string()).finish().await;
    let shown = shown.stdout.join("\n");
    for expected in ["interrupted", "ListMessageMoveTasks", "dlq replay --cancel --dlq-url=arn:aws:sqs:"] {
        assert!(shown.contains(expected), "{expected} in {shown}");
    }
}
