//! Traces by OpenTelemetry: from the sender through SQS into the application's call, and how messages are settled.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use drumline_queue::api::{MessageAttributeValue, SendMessage};
use drumline_tests::{Answer, App, CollectedSpan, Collector, Launch, LocalQueue, Setup, eventually};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
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
async fn a_senders_trace_continues_into_the_applications_call() {
    let (app, queue, collector) = (App::always_ok().await, queue().await, Collector::start().await);
    let worker = worker(&queue, &app, &collector).spawn();
    let attribute = format!("traceparent={SENDER}");
    let sender = Launch::new(&["send", "--queue-url", &queue.url, "--type", "no.handler", "--payload", "{}"])
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
    assert_eq!(sender.status, Some(0), "{}", sender.errors());
    eventually("it is settled", async || !collector.spans_of("settle").is_empty()).await;
    let finished = worker.stop().await;
    assert_eq!(finished.logged("spans not exported"), Vec::<serde_json::Value>::new());

    let (send, process, settle) =
        (only(&collector, "send"), only(&collector, "process"), only(&collector, "settle"));
    let receive = only(&collector, "receive");
    let kinds = [&send, &receive, &process, &settle].map(|span| span.kind);
    assert_eq!(kinds, [SpanKind::Producer, SpanKind::Client, SpanKind::Consumer, SpanKind::Client]);
    assert_eq!((&*send.service, &*process.service), ("shop", "worker"));
    let keys = collector.headers().into_iter().filter_map(|headers| headers.get("api-key").cloned());
    assert_eq!(keys.collect::<Vec<_>>(), ["s ecret"], "of the sender's only request");

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
        (&send, "send", "send"),
        (&receive, "receive", "receive"),
        (&process, "process", "process"),
        (&settle, "delete", "settle"),
    ] {
        let found = ["system", "destination.name", "operation.name", "operation.type"]
            .map(|name| span.attribute(&format!("messaging.{name}")));
        assert_eq!(found, ["aws_sqs", "jobs", operation, kind]);
        assert_eq!(span.name, format!("{operation} jobs"));
        assert_eq!(span.error, None);
    }
    assert_eq!(send.attribute("messaging.message.id"), id);
    assert_eq!(process.attribute("messaging.message.id"), id);
    assert_eq!(process.attribute("drumline.job.type"), "no.handler");
    let counts =
        [&send, &receive, &process, &settle].map(|span| span.attribute("messaging.batch.message_count"));
    assert_eq!(counts, ["", "1", "", ""], "only a receive is an operation on several messages");
    let server = queue.url.trim_start_matches("http://").split('/').next().unwrap();
    for span in [&send, &receive, &process, &settle] {
        assert_eq!(span.attribute("aws.sqs.queue.url"), queue.url);
        let address = format!("{}:{}", span.attribute("server.address"), span.attribute("server.port"));
        assert_eq!(address, server);
    }
}

#[tokio::test]
async fn a_failure_is_a_span_error_and_each_attempt_has_its_own_span() {
    let app =
        App::start(
            async |call| {
                if call.receive_count == 1 { Answer::status(503).body("no paper") } else { Answer::ok() }
            },
        );
    let (app, queue, collector) = (app.await, queue().await, Collector::start().await);
    let worker = worker(&queue, &app, &collector).env("DRUMLINE_RETRY", "schedule(1s)").spawn();
    queue.send_with("{}", with_attributes(&[("traceparent", SENDER), ("tracestate", "vendor=7")]));
    eventually("both are settled", async || collector.spans_of("settle").len() == 2).await;
    worker.stop().await;

    let attempts = collector.spans_of("process");
    let error = attempts[0].error.as_deref().unwrap_or_default();
    assert!(error.contains("503") && error.contains("no paper"), "{error}");
    assert_eq!((attempts[0].attribute("error.type"), &attempts[1].error), ("retry_asked", &None));
    assert_eq!(attempts[0].attribute("drumline.job.attempt"), "1");
    assert_eq!(attempts[1].attribute("drumline.job.attempt"), "2");
    let settled = collector.spans_of("settle");
    let operations: Vec<_> = settled.iter().map(|span| span.attribute("messaging.operation.name")).collect();
    assert!(settled.iter().all(|span| span.state == "vendor=7"), "{settled:#?}");
    assert_eq!(operations, ["change_visibility", "delete"]);
    for (attempt, call) in attempts.iter().zip(app.calls()) {
        assert_eq!(attempt.parent_id, &SENDER[36..52]);
        assert_eq!(attempt.state, "vendor=7");
        assert_eq!(call.header("traceparent"), Some(&*attempt.traceparent()));
        assert_eq!(call.header("tracestate"), Some("vendor=7"));
    }
}

#[tokio::test]
async fn w3c_comes_before_x_ray_and_envelope_headers_count() {
    let (app, queue, collector) = (App::always_ok().await, queue().await, Collector::start().await);
    let worker = worker(&queue, &app, &collector).spawn();
    let xray = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    let with_xray = |request: SendMessage| {
        let header = ("AWSTraceHeader".to_owned(), MessageAttributeValue::string(xray));
        SendMessage { message_system_attributes: [header].into(), ..request }
    };
    let both = queue.send_with("both", with_xray(with_attributes(&[("traceparent", SENDER)])));
    let only_xray = queue.send_with("X-Ray", with_xray(SendMessage::default()));
    let notification = format!(
        r#"{{"Type":"Notification","MessageId":"n","TopicArn":"arn:aws:sns:eu-west-1:1:t","Message":"{{}}",
            "MessageAttributes":{{"traceparent":{{"Type":"String","Value":"{SENDER}"}}}}}}"#
    );
    let sns = queue.send_with(&notification, with_xray(SendMessage::default()));
    // EventBridge puts the trace of its `PutEvents` into the system attribute.
    let event = r#"{"version":"0","id":"e","detail-type":"order","source":"shop","account":"1","time":"2026-11-30T00:00:00Z","region":"eu-west-1","resources":[],"detail":{}}"#;
    let eventbridge = queue.send_with(event, with_xray(SendMessage::default()));
    let none = queue.send("none");
    eventually("all are settled", async || collector.spans_of("settle").len() == 5).await;
    worker.stop().await;
    let spans = collector.spans_of("process");
    let parent = |id: &str| {
        let span = spans.iter().find(|span| span.attribute("messaging.message.id") == id).unwrap();
        (span.trace_id.clone(), span.parent_id.clone(), span.links.len())
    };
    let of_sender = (SENDER[3..35].to_owned(), SENDER[36..52].to_owned(), 1);
    let of_xray = ("5759e988bd862e3fe1be46a994272793".to_owned(), "53995c3f42cd8ad8".to_owned(), 1);
    assert_eq!((parent(&both), parent(&sns)), (of_sender.clone(), of_sender));
    assert_eq!((parent(&only_xray), parent(&eventbridge)), (of_xray.clone(), of_xray));
    let (_, parent, links) = parent(&none);
    assert_eq!((&*parent, links), ("", 0));
}

#[tokio::test]
async fn an_attempt_has_a_trace_of_its_own_if_the_setting_says_so() {
    let (app, queue, collector) = (App::always_ok().await, queue().await, Collector::start().await);
    let worker = worker(&queue, &app, &collector).env("DRUMLINE_TRACE_PARENT", "none").spawn();
    queue.send_with("{}", with_attributes(&[("traceparent", SENDER)]));
    eventually("it is settled", async || !collector.spans_of("settle").is_empty()).await;
    worker.stop().await;
    let process = only(&collector, "process");
    assert!(process.parent_id.is_empty() && process.trace_id != SENDER[3..35], "{process:?}");
    let linked: Vec<_> = process.links.iter().map(|(trace, span, _)| (&**trace, &**span)).collect();
    assert_eq!(linked, [(&SENDER[3..35], &SENDER[36..52])]);
    assert_eq!(only(&collector, "settle").trace_id, process.trace_id);
    assert_eq!(app.calls()[0].header("traceparent"), Some(&*process.traceparent()));
}

#[tokio::test]
async fn unsampled_spans_are_not_exported_but_their_context_is_passed() {
    let (app, queue, collector) = (App::always_ok().await, queue().await, Collector::start().await);
    let worker =
        worker(&queue, &app, &collector).env("OTEL_TRACES_SAMPLER", "parentbased_always_off").spawn();
    let unsampled = SENDER.replace("-01", "-00");
    for traceparent in [&*unsampled, SENDER] {
        queue.send_with(traceparent, with_attributes(&[("traceparent", traceparent)]));
    }
    queue.send("no trace");
    eventually("all are done", async || app.count() == 3 && queue.count() == 0).await;
    worker.stop().await;
    let process = only(&collector, "process");
    assert_eq!((&*process.trace_id, &*process.parent_id), (&SENDER[3..35], &SENDER[36..52]));
    let header = |body: &str| {
        let calls = app.calls();
        let call = calls.iter().find(|call| call.body == body).unwrap();
        call.header("traceparent").unwrap().to_owned()
    };
    assert_eq!((header(&unsampled), header(SENDER)), (unsampled.clone(), process.traceparent()));
    assert!(header("no trace").ends_with("-00"));
    assert_eq!(collector.spans_of("receive").len(), 0);
}

#[tokio::test]
async fn spans_and_metrics_are_flushed_at_the_end_of_the_drain() {
    let (app, queue, collector) = (App::always_ok().await, queue().await, Collector::start().await);
    // Nothing leaves before the end by itself.
    let worker = worker(&queue, &app, &collector)
        .env("OTEL_BSP_SCHEDULE_DELAY", "3600000")
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        .env("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,team=a%2Cb")
        .spawn();
    for _ in 0..3 {
        queue.send("{}");
    }
    eventually("all are done", async || app.count() == 3 && queue.count() == 0).await;
    assert_eq!(collector.spans().len(), 0);
    let finished = worker.stop().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let spans = collector.spans_of("process");
    assert_eq!(spans.len(), 3);
    assert!(spans.iter().all(|span| span.service == "worker"), "OTEL_SERVICE_NAME comes first: {spans:#?}");
    for headers in collector.headers() {
        assert_eq!(headers["content-encoding"], "gzip");
        let agent = headers["user-agent"].to_str().unwrap();
        assert!(agent.contains("OTLP-Exporter-Rust/"), "{agent}");
    }
    let metrics = collector.metrics();
    let Some(Data::Sum(jobs)) = &metrics["drumline_jobs_total"].data else { panic!("{metrics:?}") };
    let total: f64 = jobs
        .data_points
        .iter()
        .filter_map(|point| match point.value {
            Some(Value::AsDouble(value)) => Some(value),
            _ => None,
        })
        .sum();
    assert!((total - 3.0).abs() < 0.1, "{jobs:?}");
    let Some(Data::Histogram(durations)) = &metrics["drumline_job_duration_seconds"].data else {
        panic!("{metrics:?}")
    };
    assert_eq!(durations.data_points.iter().map(|point| point.count).sum::<u64>(), 3);
    for name in ["drumline_queue_depth", "drumline_sqs_requests_total", "drumline_pickup_delay_seconds"] {
        assert!(metrics.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn a_send_notes_a_collector_that_does_not_answer_and_ends() {
    let queue = queue().await;
    // It accepts connections, and answers none.
    let hanging = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for collector in [format!("http://{}", hanging.local_addr().unwrap()), "http://127.0.0.1:9".to_owned()] {
        let begun = Instant::now();
        let sent = Launch::new(&["send", "--type", "a.b", "--payload", "{}"])
            .env("DRUMLINE_QUEUE_URL", &queue.url)
            .env("AWS_ENDPOINT_URL", &queue.endpoint_url())
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector)
            .finish()
            .await;
        assert_eq!((sent.status, sent.stdout.len()), (Some(0), 1), "{}", sent.errors());
        let notes: Vec<_> =
            sent.stderr.iter().filter(|line| line.contains("OTEL_EXPORTER_OTLP_ENDPOINT")).collect();
        assert_eq!(notes.len(), 1, "{}", sent.errors());
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
    assert_eq!(queue.count(), 2);
}
