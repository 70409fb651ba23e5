//! The data types of attributes reach the application, and survive the copy to the DLQ.

use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::MessageAttributeValue;
use drumline_queue::api::{self, SendMessage};
use drumline_tests::{
    Answer, App, Call, FunctionLaunch, Invocation, LocalQueue, Setup, TestQueue, eventually, sqs_event,
};

const IMAGE: [u8; 3] = [0, 159, 255];

/// Name, data type and text. The image is separate.
const TEXTS: [(&str, &str, &str); 4] = [
    ("Tenant", "String", "ada"),
    ("Locale", "String.bcp47", "de-DE"),
    ("Amount", "Number", "1.50"),
    ("Count", "Number.int", "7"),
];

async fn app_that_rejects() -> App {
    App::start(|_| async { Answer::status(422).body("no such customer") }).await
}

#[track_caller]
fn expect_headers(call: &Call) {
    for (name, data_type, text) in TEXTS {
        assert_eq!(call.header(&format!("x-aws-sqsd-attr-{name}")), Some(text), "{name}");
        let expected = (data_type != "String").then_some(data_type);
        assert_eq!(call.header(&format!("x-drumline-attr-type-{name}")), expected, "{name}");
    }
    assert_eq!(call.header("x-drumline-attr-type-image"), Some("Binary.png"));
    assert_eq!(call.header("x-aws-sqsd-attr-image"), Some("AJ//"), "bytes are base64");
}

#[tokio::test]
async fn data_types_survive_a_workers_copy_to_the_dlq() {
    let (queue, app) = (TestQueue::create("typed", Setup::default()).await, app_that_rejects().await);
    let launch = crate::forwarding(&queue, &app, "memory:").env("DRUMLINE_PERMANENT_FAILURES", "dead-letter");
    let worker = launch.spawn();
    let image = MessageAttributeValue::builder().data_type("Binary.png").binary_value(Blob::new(IMAGE));
    let mut request = queue.client.send_message().queue_url(&queue.url).message_body("poison");
    request = request.message_attributes("Image", image.build().unwrap());
    for (name, data_type, text) in TEXTS {
        let value = MessageAttributeValue::builder().data_type(data_type).string_value(text);
        request = request.message_attributes(name, value.build().unwrap());
    }
    request.send().await.unwrap();
    eventually("it is copied", async || queue.dead_count().await == 1 && queue.is_empty().await).await;
    expect_headers(&app.calls()[0]);
    let dead = queue.take_dead().await.remove(0);
    let attributes = dead.message_attributes.unwrap();
    for (name, data_type, text) in TEXTS {
        let value = &attributes[name];
        assert_eq!((value.data_type(), value.string_value()), (data_type, Some(text)), "{name}");
    }
    let image = &attributes["Image"];
    assert_eq!((image.data_type(), image.binary_value()), ("Binary.png", Some(&Blob::new(IMAGE))));
    worker.stop().await;
}

#[tokio::test]
async fn data_types_survive_a_functions_copy_to_the_dlq() {
    let (app, queue) = (app_that_rejects().await, LocalQueue::create(Setup::default()).await);
    let launch = FunctionLaunch::forwarding(&app, &queue).env("DRUMLINE_PERMANENT_FAILURES", "dead-letter");
    let function = launch.spawn().await;
    let texts = TEXTS.map(|(name, data_type, text)| {
        let value = api::MessageAttributeValue {
            data_type: data_type.to_owned(),
            ..api::MessageAttributeValue::string(text)
        };
        (name.to_owned(), value)
    });
    let image = api::MessageAttributeValue {
        data_type: "Binary.png".to_owned(),
        ..api::MessageAttributeValue::binary(IMAGE)
    };
    let message_attributes = texts.into_iter().chain([("Image".to_owned(), image)]).collect();
    let sent = api::SendMessage { message_attributes, ..SendMessage::default() };
    queue.send_with("poison", sent.clone());
    let batch = queue.receive(1).await;
    function.invoke(Invocation::new(sqs_event(&batch))).await.expect_all_done();
    expect_headers(&app.calls()[0]);
    let dead = queue.dead().remove(0);
    for (name, value) in &sent.message_attributes {
        assert_eq!(dead.attributes.get(name), Some(value), "{name}");
    }
}
