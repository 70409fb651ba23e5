//! Tests the endpoint with the real SDK: every action once, and errors with their own types.
#![allow(clippy::unwrap_used)]

mod common;

use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageAttributeValue,
    MessageSystemAttributeName, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
    QueueAttributeName, SendMessageBatchRequestEntry,
};
use common::server;
use drumline_queue::MessageState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn a_message_is_sent_received_and_deleted() {
    let (server, sqs) = server().await;
    let url = sqs.create_queue().queue_name("jobs").send().await.unwrap().queue_url.unwrap();
    assert_eq!(url, format!("{}/000000000000/jobs", server.endpoint_url()));

    let text = MessageAttributeValue::builder().data_type("String").string_value("välue").build().unwrap();
    let bytes =
        MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new([0, 255])).build();
    let trace = MessageSystemAttributeValue::builder().data_type("String").string_value("Root=1").build();
    let sent = sqs
        .send_message()
        .queue_url(&url)
        .message_body("héllo \"world\" \u{1F600}\n")
        .message_attributes("text", text)
        .message_attributes("bytes", bytes.unwrap())
        .message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace.unwrap())
        .send()
        .await
        .unwrap();
    let received = sqs
        .receive_message()
        .queue_url(&url)
        .message_attribute_names("All")
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .send()
        .await
        .unwrap();
    let message = &received.messages()[0];
    assert_eq!(message.body(), Some("héllo \"world\" \u{1F600}\n"));
    assert_eq!(message.message_id(), sent.message_id());
    assert_eq!(message.md5_of_body(), sent.md5_of_message_body());
    assert_eq!(message.md5_of_message_attributes(), sent.md5_of_message_attributes());
    let attributes = message.message_attributes().unwrap();
    assert_eq!(attributes["text"].string_value(), Some("välue"));
    assert_eq!(attributes["bytes"].binary_value().unwrap().as_ref(), [0, 255]);
    let system = message.attributes().unwrap();
    assert_eq!(system[&MessageSystemAttributeName::ApproximateReceiveCount], "1");
    assert_eq!(system[&MessageSystemAttributeName::AwsTraceHeader], "Root=1");
    assert!(system.contains_key(&MessageSystemAttributeName::SentTimestamp));

    sqs.delete_message()
        .queue_url(&url)
        .receipt_handle(message.receipt_handle().unwrap())
        .send()
        .await
        .unwrap();
    assert!(server.endpoint().peek(&url).unwrap().is_empty());
    server.shutdown().await;
}

#[tokio::test]
async fn batches_and_visibility() {
    let (server, sqs) = server().await;
    let url = server.endpoint().create_queue("jobs", &[]).unwrap();
    let entry =
        |id: &str, body: &str| SendMessageBatchRequestEntry::builder().id(id).message_body(body).build();
    let sent = sqs
        .send_message_batch()
        .queue_url(&url)
        .entries(entry("a", "x").unwrap())
        .entries(entry("b", "\u{1}").unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(sent.successful()[0].id(), "a");
    assert_eq!((sent.failed()[0].id(), sent.failed()[0].code()), ("b", "InvalidMessageContents"));

    let received = sqs.receive_message().queue_url(&url).max_number_of_messages(10).send().await.unwrap();
    let handle = received.messages()[0].receipt_handle().unwrap();
    sqs.change_message_visibility()
        .queue_url(&url)
        .receipt_handle(handle)
        .visibility_timeout(60)
        .send()
        .await
        .unwrap();
    let hide = ChangeMessageVisibilityBatchRequestEntry::builder().id("0").receipt_handle(handle);
    let hidden = sqs
        .change_message_visibility_batch()
        .queue_url(&url)
        .entries(hide.visibility_timeout(0).build().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(hidden.successful().len(), 1);
    assert_eq!(server.endpoint().peek(&url).unwrap()[0].state, MessageState::Visible);

    let delete = |id: &str, handle: &str| {
        DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build()
    };
    let deleted = sqs
        .delete_message_batch()
        .queue_url(&url)
        .entries(delete("0", handle).unwrap())
        .entries(delete("1", "nonsense").unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.successful()[0].id(), "0");
    assert_eq!(deleted.failed()[0].code(), "ReceiptHandleIsInvalid");
    assert!(deleted.failed()[0].sender_fault());
}

#[tokio::test]
async fn queues_are_found_described_tagged_purged_and_deleted() {
    let (server, sqs) = server().await;
    let (url, _) = server.endpoint().create_queue_with_dead_letters("jobs", "jobs-dlq", 5).unwrap();
    assert_eq!(sqs.get_queue_url().queue_name("jobs").send().await.unwrap().queue_url(), Some(url.as_str()));
    let listed = sqs.list_queues().queue_name_prefix("jobs").max_results(1).send().await.unwrap();
    assert_eq!(listed.queue_urls(), std::slice::from_ref(&url));
    let rest = sqs.list_queues().next_token(listed.next_token().unwrap()).send().await.unwrap();
    assert_eq!(rest.queue_urls().len(), 1);

    sqs.set_queue_attributes()
        .queue_url(&url)
        .attributes(QueueAttributeName::VisibilityTimeout, "77")
        .send()
        .await
        .unwrap();
    let described =
        sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All).send().await;
    let described = described.unwrap();
    assert_eq!(described.attributes().unwrap()[&QueueAttributeName::VisibilityTimeout], "77");

    let sources = sqs.list_dead_letter_source_queues().queue_url("jobs-dlq").send().await.unwrap();
    assert_eq!(sources.queue_urls(), std::slice::from_ref(&url));

    sqs.tag_queue().queue_url(&url).tags("team", "a").tags("tier", "b").send().await.unwrap();
    sqs.untag_queue().queue_url(&url).tag_keys("tier").send().await.unwrap();
    let tags = sqs.list_queue_tags().queue_url(&url).send().await.unwrap();
    assert_eq!(tags.tags().unwrap().len(), 1);
    assert_eq!(tags.tags().unwrap()["team"], "a");

    server.endpoint().send(&url, "x").unwrap();
    sqs.purge_queue().queue_url(&url).send().await.unwrap();
    assert!(server.endpoint().peek(&url).unwrap().is_empty());
    sqs.delete_queue().queue_url(&url).send().await.unwrap();
    let gone = sqs.get_queue_url().queue_name("jobs").send().await.unwrap_err();
    assert!(gone.into_service_error().is_queue_does_not_exist());
}

#[tokio::test]
async fn move_tasks_are_started_listed_and_cancelled() {
    let (server, sqs) = server().await;
    let endpoint = server.endpoint();
    endpoint.create_queue_with_dead_letters("jobs", "jobs-dlq", 1).unwrap();
    endpoint.send("jobs-dlq", "x").unwrap();
    let arn = endpoint.call(|sqs, _| sqs.queue_arn("jobs-dlq"));
    let start = sqs.start_message_move_task().source_arn(&arn).max_number_of_messages_per_second(1);
    let handle = start.send().await.unwrap().task_handle.unwrap();
    let listed = sqs.list_message_move_tasks().source_arn(&arn).send().await.unwrap();
    assert_eq!(listed.results()[0].status(), Some("RUNNING"));
    assert_eq!(listed.results()[0].task_handle(), Some(handle.as_str()));
    let cancelled = sqs.cancel_message_move_task().task_handle(handle).send().await.unwrap();
    assert_eq!(cancelled.approximate_number_of_messages_moved(), 0);
}

#[tokio::test]
async fn errors_arrive_under_their_types() {
    let (server, sqs) = server().await;
    let url = server.endpoint().create_queue("jobs", &[]).unwrap();

    let error = sqs.send_message().queue_url("absent").message_body("x").send().await.unwrap_err();
    assert_eq!(error.code(), Some("AWS.SimpleQueueService.NonExistentQueue"));
    assert_eq!(error.message(), Some("The specified queue does not exist."));
    assert!(error.into_service_error().is_queue_does_not_exist());

    let error = sqs.send_message().queue_url(&url).message_body("\u{1}").send().await.unwrap_err();
    assert!(error.into_service_error().is_invalid_message_contents());

    let error = sqs.delete_message().queue_url(&url).receipt_handle("x").send().await.unwrap_err();
    assert!(error.into_service_error().is_receipt_handle_is_invalid());

    let error = sqs.send_message_batch().queue_url(&url).set_entries(Some(vec![])).send().await.unwrap_err();
    assert!(error.into_service_error().is_empty_batch_request());

    let different = sqs.create_queue().queue_name("jobs").attributes(QueueAttributeName::DelaySeconds, "9");
    assert!(different.send().await.unwrap_err().into_service_error().is_queue_name_exists());

    sqs.purge_queue().queue_url(&url).send().await.unwrap();
    let error = sqs.purge_queue().queue_url(&url).send().await.unwrap_err();
    assert!(error.into_service_error().is_purge_queue_in_progress());

    let error = sqs.receive_message().queue_url(&url).max_number_of_messages(11).send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidParameterValue"));

    let error =
        sqs.start_message_move_task().source_arn("arn:aws:sqs:us-east-1:000000000000:absent").send().await;
    assert!(error.unwrap_err().into_service_error().is_resource_not_found_exception());

    let error =
        sqs.add_permission().queue_url(&url).label("l").aws_account_ids("1").actions("*").send().await;
    assert!(error.unwrap_err().into_service_error().is_unsupported_operation());
    let error = sqs.remove_permission().queue_url(&url).label("l").send().await.unwrap_err();
    assert!(error.into_service_error().is_unsupported_operation());

    let url = server.endpoint().create_queue("jobs.fifo", &[("FifoQueue", "true")]).unwrap();
    let send = sqs.send_message().queue_url(&url).message_body("x").message_group_id("g");
    send.message_deduplication_id("d").send().await.unwrap();
    let received = sqs.receive_message().queue_url(&url).visibility_timeout(0).send().await.unwrap();
    let handle = received.messages()[0].receipt_handle().unwrap();
    let change = sqs.change_message_visibility().queue_url(&url).receipt_handle(handle).visibility_timeout(9);
    assert!(change.send().await.unwrap_err().into_service_error().is_message_not_inflight());
}

/// Sends `request` unchanged and reads until the server closes the connection.
async fn raw(server: &drumline_queue::Server, request: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(server.local_addr()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_request_of_another_protocol_gets_an_explaining_error() {
    let (server, _) = server().await;
    let table = [
        ("", "Action=ListQueues", "400", "Use an AWS SDK or CLI from November 2023 or later"),
        ("x-amz-target: AmazonSQS.Dance\r\n", "{}", "400", "UnknownOperationException"),
        ("x-amz-target: DynamoDB.ListTables\r\n", "{}", "400", "UnknownOperationException"),
        ("x-amz-target: AmazonSQS.SendMessage\r\n", "{", "400", "SerializationException"),
        ("x-amz-target: AmazonSQS.SendMessage\r\n", r#"{"MessageBody":7}"#, "400", "SerializationException"),
        ("x-amz-target: AmazonSQS.ListQueues\r\n", "{}", "200", "{}"),
    ];
    for (target, body, status, expected) in table {
        let request = format!(
            "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{target}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = raw(&server, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{target}{answer}");
        assert!(answer.contains(expected), "{target}{answer}");
    }
    let answer = raw(&server, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"));
}
