//! Waiting receives: which one gets a message, when the passing of time makes a message available, and how waits end.
//!
//! The tests use tokio's paused time, which jumps to the next timer when no task can run. `join!` polls its futures in the
//! written order, so a receive written first waits before the second future runs.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use drumline_queue::api::{
    ChangeMessageVisibility, OneQueue, ReceiveMessage, ReceiveMessageReply, SendMessage,
};
use drumline_queue::{Endpoint, ErrorCode, MessageState, Server, SqsError};
use tokio::time::{Instant, timeout};

async fn server() -> Server {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    server.endpoint().create_queue("q", &[]).unwrap();
    server
}

fn waiting(queue: &str, secs: i64) -> ReceiveMessage {
    ReceiveMessage { queue_url: queue.into(), wait_time_seconds: Some(secs), ..Default::default() }
}

fn body(reply: Result<ReceiveMessageReply, SqsError>) -> Option<String> {
    reply.unwrap().messages.first().map(|message| message.body.to_string())
}

fn delayed(secs: i64) -> SendMessage {
    SendMessage {
        queue_url: "q".into(),
        message_body: "late".into(),
        delay_seconds: Some(secs),
        ..Default::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_moved_forward_brings_what_is_due_at_once() {
    let server = server().await;
    let endpoint = server.endpoint();
    let begin = Instant::now();
    endpoint.call(|sqs, now| sqs.send_message(now, delayed(600))).unwrap();
    let (early, ()) = tokio::join!(endpoint.receive(waiting("q", 20)), async {
        endpoint.advance(Duration::from_secs(590));
    });
    assert_eq!(body(early).as_deref(), Some("late"));
    assert_eq!(begin.elapsed().as_secs(), 10, "the rest of its delay is waited for");

    endpoint.call(|sqs, now| sqs.send_message(now, delayed(600))).unwrap();
    let (late, ()) = tokio::join!(endpoint.receive(waiting("q", 20)), async {
        endpoint.advance(Duration::from_secs(600));
    });
    assert_eq!(body(late).as_deref(), Some("late"));
    assert_eq!(begin.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn messages_go_to_those_who_wait_longest() {
    let server = server().await;
    let endpoint = server.endpoint();
    let begin = Instant::now();
    let (first, second, third, ()) = tokio::join!(
        endpoint.receive(waiting("q", 20)),
        endpoint.receive(waiting("q", 20)),
        endpoint.receive(waiting("q", 7)),
        async {
            assert_eq!(endpoint.waiting_receives(), 3);
            endpoint.send("q", "1").unwrap();
            endpoint.send("q", "2").unwrap();
        },
    );
    assert_eq!((body(first).as_deref(), body(second).as_deref(), body(third)), (Some("1"), Some("2"), None));
    assert_eq!(begin.elapsed().as_secs(), 7, "the third waited its time");
    assert_eq!(endpoint.waiting_receives(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_visibility_timeout_wakes() {
    let server = server().await;
    let endpoint = server.endpoint();
    endpoint.send("q", "x").unwrap();
    endpoint.receive(ReceiveMessage { visibility_timeout: Some(5), ..waiting("q", 0) }).await.unwrap();
    let begin = Instant::now();
    assert_eq!(body(endpoint.receive(waiting("q", 20)).await).as_deref(), Some("x"));
    assert_eq!(begin.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_changes_while_one_waits_counts() {
    let server = server().await;
    let endpoint = server.endpoint();
    let begin = Instant::now();
    let (reply, ()) = tokio::join!(endpoint.receive(waiting("q", 20)), async {
        endpoint.call(|sqs, now| sqs.send_message(now, delayed(9))).unwrap();
        endpoint.call(|sqs, now| sqs.send_message(now, delayed(3))).unwrap();
    });
    assert_eq!(body(reply).as_deref(), Some("late"));
    assert_eq!(begin.elapsed().as_secs(), 3, "the earlier of two, though announced later");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_released_wakes_at_once() {
    let server = server().await;
    let endpoint = server.endpoint();
    endpoint.send("q", "x").unwrap();
    let receipt_handle = endpoint.receive(waiting("q", 0)).await.unwrap().messages.remove(0).receipt_handle;
    let begin = Instant::now();
    let (reply, ()) = tokio::join!(endpoint.receive(waiting("q", 20)), async {
        let release =
            ChangeMessageVisibility { queue_url: "q".into(), receipt_handle, visibility_timeout: Some(0) };
        endpoint.call(|sqs, now| sqs.change_message_visibility(now, &release)).unwrap();
    });
    assert_eq!(body(reply).as_deref(), Some("x"));
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_queues_own_wait_applies() {
    let server = server().await;
    let endpoint = server.endpoint();
    endpoint.create_queue("patient", &[("ReceiveMessageWaitTimeSeconds", "4")]).unwrap();
    let begin = Instant::now();
    let request = ReceiveMessage { queue_url: "patient".into(), ..Default::default() };
    assert_eq!(body(endpoint.receive(request).await), None);
    assert_eq!(begin.elapsed().as_secs(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_receive_that_is_dropped_takes_nothing() {
    let server = server().await;
    let endpoint = server.endpoint();
    tokio::select! {
        biased;
        _ = endpoint.receive(waiting("q", 20)) => unreachable!("nothing was sent"),
        () = async { assert_eq!(endpoint.waiting_receives(), 1) } => {}
    }
    assert_eq!(endpoint.waiting_receives(), 0);
    endpoint.send("q", "x").unwrap();
    assert_eq!(endpoint.peek("q").unwrap()[0].state, MessageState::Visible);
}

#[tokio::test(start_paused = true)]
async fn a_receive_dropped_with_an_unread_answer_frees_its_messages() {
    let server = server().await;
    let endpoint = server.endpoint();
    tokio::select! {
        biased;
        _ = endpoint.receive(waiting("q", 20)) => unreachable!("its answer is not read"),
        () = async {
            endpoint.send("q", "x").unwrap();
            assert!(matches!(endpoint.peek("q").unwrap()[0].state, MessageState::InFlight { .. }));
        } => {}
    }
    assert_eq!(endpoint.peek("q").unwrap()[0].state, MessageState::Visible);
    assert_eq!(body(endpoint.receive(waiting("q", 0)).await).as_deref(), Some("x"));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_wakes_who_waits_for_it() {
    let server = server().await;
    let endpoint = server.endpoint();
    endpoint.create_queue_with_dead_letters("jobs", "jobs-dlq", 1).unwrap();
    endpoint.send("jobs", "x").unwrap();
    let once = ReceiveMessage { visibility_timeout: Some(0), ..waiting("jobs", 0) };
    assert_eq!(body(endpoint.receive(once.clone()).await).as_deref(), Some("x"));
    let begin = Instant::now();
    let (dead, none) = tokio::join!(endpoint.receive(waiting("jobs-dlq", 20)), endpoint.receive(once));
    assert_eq!((body(dead).as_deref(), body(none)), (Some("x"), None));
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_queue_ends_the_wait() {
    let server = server().await;
    let endpoint = server.endpoint();
    let (reply, ()) = tokio::join!(endpoint.receive(waiting("q", 20)), async {
        endpoint.call(|sqs, now| sqs.delete_queue(now, &OneQueue { queue_url: "q".into() })).unwrap();
    });
    assert_eq!(reply.unwrap_err().code, ErrorCode::QueueDoesNotExist);
}

#[tokio::test(start_paused = true)]
async fn ending_long_polls_answers_all_and_prevents_further_waits() {
    let server = server().await;
    let endpoint = server.endpoint();
    let begin = Instant::now();
    let (first, second, ()) =
        tokio::join!(endpoint.receive(waiting("q", 20)), endpoint.receive(waiting("q", 20)), async {
            server.end_long_polls();
        });
    assert_eq!((body(first), body(second)), (None, None));
    assert_eq!(body(endpoint.receive(waiting("q", 20)).await), None);
    assert_eq!(begin.elapsed(), Duration::ZERO);
    endpoint.send("q", "still here").unwrap();
    assert_eq!(body(endpoint.receive(waiting("q", 20)).await).as_deref(), Some("still here"));
}

/// Yields until `endpoint` has this many waiting receives.
async fn until_waiting(endpoint: &Endpoint, count: usize) {
    let reached = async {
        while endpoint.waiting_receives() != count {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), reached).await.unwrap();
}

#[tokio::test]
async fn a_client_that_hangs_up_takes_nothing() {
    let server = server().await;
    let endpoint = server.endpoint();
    let client = common::client(&server.endpoint_url());
    let receive = client.receive_message().queue_url("q").wait_time_seconds(20).send();
    let receiving = tokio::spawn(receive);
    until_waiting(endpoint, 1).await;
    receiving.abort();
    drop(client);
    until_waiting(endpoint, 0).await;
    endpoint.send("q", "x").unwrap();
    assert_eq!(endpoint.peek("q").unwrap()[0].state, MessageState::Visible);
}

#[tokio::test]
async fn shutting_down_answers_those_who_wait() {
    let server = server().await;
    let client = common::client(&server.endpoint_url());
    let receive = tokio::spawn(client.receive_message().queue_url("q").wait_time_seconds(20).send());
    until_waiting(server.endpoint(), 1).await;
    server.shutdown().await;
    let reply = receive.await.unwrap().unwrap();
    assert!(reply.messages().is_empty());
    client.list_queues().send().await.unwrap_err();
}
