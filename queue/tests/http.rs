//! The endpoint as the real SDK sees it: every action once, over a socket.
#![allow(clippy::unwrap_used)]

mod common;

use common::server;

#[tokio::test]
async fn a_message_is_sent_received_and_deleted() {
    let (server, sqs) = server().await;
    let url = sqs.create_queue().queue_name("jobs").send().await.unwrap().queue_url.unwrap();
    assert_eq!(url, format!("{}/000000000000/jobs", server.endpoint_url()));

    let sent = sqs.send_message().queue_url(&url).message_body("héllo").send().await.unwrap();
    let received = sqs.receive_message().queue_url(&url).send().await.unwrap();
    let message = &received.messages()[0];
    assert_eq!(message.body(), Some("héllo"));
    assert_eq!(message.message_id(), sent.message_id());
    assert_eq!(message.md5_of_body(), sent.md5_of_message_body());

    sqs.delete_message()
        .queue_url(&url)
        .receipt_handle(message.receipt_handle().unwrap())
        .send()
        .await
        .unwrap();
    assert!(server.endpoint().peek(&url).unwrap().is_empty());
    server.shutdown().await;
}
