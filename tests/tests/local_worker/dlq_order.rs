//! `drumline dlq replay` of one message group: the order is kept beyond the ten letters that a FIFO queue shows, through a
//! refusal and a resume.

use drumline_tests::{Fault, LocalQueue, Proxy, Setup};
use serde_json::json;

use super::dlq_doubt::run;
use super::dlq_replay::{buried, result};

const LETTERS: usize = 25;

fn order(queue: &LocalQueue) -> Vec<usize> {
    let mut messages = queue.endpoint().peek(&queue.url).unwrap();
    messages.sort_by_key(|message| message.sequence_number.clone());
    messages.iter().map(|message| message.body.parse().unwrap()).collect()
}

#[tokio::test]
async fn letters_behind_a_refused_one_wait_until_it_is_sent() {
    let queue = buried(Setup { fifo: true, ..Setup::default() }, |queue| {
        (0..LETTERS).for_each(|n| drop(queue.send_grouped(&n.to_string(), "g")));
    })
    .await;
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    let folder = tempfile::tempdir().unwrap();
    proxy.pass("SendMessageBatch", 2);
    proxy.fail("SendMessageBatch", Fault::EntriesRefused, 1);
    let finished = run(&queue, &proxy, &folder, &["--yes", "--no-check", "--name", "refused"]).await;
    let refused = result(&finished);
    assert_eq!((finished.status, &refused["sent"]), (Some(1), &json!(2)), "{}", finished.errors());
    assert_eq!(refused["left"]["send_failed"], 1, "{refused}");
    assert!(refused["left"]["behind_other"].as_u64().unwrap() > 0, "{refused}");
    assert_eq!((order(&queue), queue.dead().len()), (vec![0, 1], LETTERS - 2));

    let finished = run(&queue, &proxy, &folder, &["--resume", "refused", "--no-check"]).await;
    assert_eq!(
        (finished.status, &result(&finished)["sent"]),
        (Some(0), &json!(LETTERS)),
        "{}",
        finished.errors()
    );
    assert_eq!((order(&queue), queue.dead().len()), ((0..LETTERS).collect::<Vec<_>>(), 0));
}
