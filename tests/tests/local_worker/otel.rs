//! Traces by OpenTelemetry: from the sender through SQS into the application's call, and how messages are settled.

use std::collections::BTreeMap;

use drumline_queue::api::{MessageAttributeValue, SendMessage};
use drumline_tests::{Answer, App, CollectedSpan, Collector, Launch, LocalQueue, Setup, eventually};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

const SENDER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

async fn queue() -> LocalQueue {
    LocalQueue::create(Setup::default()).await
}

/// A worker in forward mode that exports to the collector.
fn worker(queue: &LocalQueue, app: &App, collector: &Collector) -> Launch {
    Launch::on(queue)
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
        .env("OTEL_SERVICE_NAME", "worker")
        .env("OTEL_BSP_SCHEDULE_DELAY", "200")
}

fn with_attributes(attributes: &[(&str, &str)]) -> SendMessage {
    let attributes = attributes.iter();
    let message_attributes =
        attributes.map(|(name, text)| ((*name).to_owned(), MessageAttributeValue::string(*text))).collect();
    SendMessage { message_attributes, ..SendMessage::default() }
}

/// The only span of an operation.
fn only(collector: &Collector, operation: &str) -> CollectedSpan {
    let spans = collector.spans_of(operation);
    assert_eq!(spans.len(), 1, "{operation}: {spans:#?}");
    spans.into_iter().next().unwrap()
}

#[tokio::test]
async fn a_sender_s_trace_continues_through_sqs_into_the_application_s_call() {
    let (app, queue, collector) = (App::always_ok().await, queue().await, Collector::start().await);
    let worker = worker(&queue, &app, &collector).spawn();
    let attribute = format!("traceparent={SENDER}");
    let sent = Launch::new(&["send", "--queue-url", &queue.url, "--type", "no.handler", "--payload", "{}"])
        .arg("--attribute")
        .arg(&attribute)
        .env("AWS_ENDPOINT_URL", &queue.endpoint_url())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
        .env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s%20ecret")
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        .env("OTEL_SERVICE_NAME", "shop")
        .spawn()
        .finish()
        .await;
    assert_eq!(sent.status, Some(0), "{}", sent.errors());
    eventually("it is settled", async || !collector.spans_of("settle").is_empty()).await;
    let finished = worker.stop().await;
    assert_eq!(finished.logged("spans not exported"), Vec::<serde_json::Value>::new());

    let (send, process, settle) =
        (only(&collector, "send"), only(&collector, "process"), only(&collector, "settle"));
    let receive = only(&collector, "receive");
    let kinds = [&send, &receive, &process, &settle].map(|span| span.kind);
    assert_eq!(kinds, [SpanKind::Producer, SpanKind::Client, SpanKind::Consumer, SpanKind::Client]);
    assert_eq!((&*send.service, &*process.service), ("shop", "worker"));
    assert_eq!(send.name, "send jobs");
    assert_eq!(collector.headers()[0]["api-key"], "s ecret");

    // One trace: sender, send, process, and from there on the application and the settling.
    for span in [&send, &process, &settle] {
        assert_eq!(span.trace_id, &SENDER[3..35], "{span:?}");
    }
    assert_eq!(send.parent_id, &SENDER[36..52]);
    assert_eq!(process.parent_id, send.span_id);
    assert_eq!(settle.parent_id, process.span_id);
    let calls = app.calls();
    assert_eq!(calls[0].header("traceparent"), Some(&*process.traceparent()));
    assert_eq!(calls.len(), 1);

    // Each message has a link of its own, with its id.
    let id = &calls[0].message_id;
    let link = (
        send.trace_id.clone(),
        send.span_id.clone(),
        BTreeMap::from([("messaging.message.id".to_owned(), id.clone())]),
    );
    assert_eq!((&process.links, &receive.links), (&vec![link.clone()], &vec![link]));
    for (span, operation, kind) in [
        (&send, "SendMessageBatch", "send"),
        (&receive, "ReceiveMessage", "receive"),
        (&process, "process", "process"),
        (&settle, "DeleteMessageBatch", "settle"),
    ] {
        let found = ["system", "destination.name", "operation.name", "operation.type"]
            .map(|name| span.attribute(&format!("messaging.{name}")));
        assert_eq!(found, ["aws_sqs", "jobs", operation, kind]);
        assert_eq!(span.error, None);
    }
    assert_eq!(send.attribute("messaging.message.id"), id);
    assert_eq!(process.attribute("messaging.message.id"), id);
    assert_eq!(process.attribute("drumline.job.type"), "no.handler");
    assert_eq!(settle.attribute("messaging.batch.message_count"), "1");
    assert_eq!(receive.attribute("aws.sqs.queue.url"), queue.url);
}

#[tokio::test]
async fn a_failure_is_an_error_of_its_span_and_the_next_attempt_has_a_span_of_its_own() {
    let app =
        App::start(
            async |call| {
                if call.receive_count == 1 { Answer::status(503).body("no paper") } else { Answer::ok() }
            },
        );
    let (app, queue, collector) = (app.await, queue().await, Collector::start().await);
    let worker = worker(&queue, &app, &collector).env("DRUMLINE_RETRY", "schedule(0s)").spawn();
    queue.send_with("{}", with_attributes(&[("traceparent", SENDER), ("tracestate", "vendor=7")]));
    eventually("both are settled", async || collector.spans_of("settle").len() == 2).await;
    worker.stop().await;

    let attempts = collector.spans_of("process");
    let error = attempts[0].error.as_deref().unwrap_or_default();
    assert!(error.contains("503") && error.contains("no paper"), "{error}");
    assert_eq!((attempts[0].attribute("error.type"), &attempts[1].error), ("retry", &None));
    assert_eq!(attempts[0].attribute("drumline.job.attempt"), "1");
    assert_eq!(attempts[1].attribute("drumline.job.attempt"), "2");
    let operations = collector.spans_of("settle");
    let operations: Vec<_> =
        operations.iter().map(|span| span.attribute("messaging.operation.name")).collect();
    assert_eq!(operations, ["ChangeMessageVisibilityBatch", "DeleteMessageBatch"]);
    for (attempt, call) in attempts.iter().zip(app.calls()) {
        assert_eq!(attempt.parent_id, &SENDER[36..52]);
        assert_eq!(attempt.state, "vendor=7");
        assert_eq!(call.header("traceparent"), Some(&*attempt.traceparent()));
        assert_eq!(call.header("tracestate"), Some("vendor=7"));
    }
}
