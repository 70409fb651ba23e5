#![allow(clippy::unwrap_used)]
use aws_config::Region;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use drumline::message::{ContentEncoding, EncodedBody, Message};
use drumline_runtime::payload::decompress;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::attributes::Attributes;
use crate::offloaded::Offloaded;
use crate::send::Taken;

/// Starts an S3 server that responds to every request with this status. Returns its address, and the request lines and bodies
/// that it receives.
async fn s3(status: u16) -> (String, UnboundedReceiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, seen) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap().to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut body).await.unwrap();
            let line = head.lines().next().unwrap().to_owned();
            sender.send((line, String::from_utf8(body).unwrap())).unwrap();
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (address, seen)
}

fn store(endpoint: &str, bucket: Option<&str>, compression: Option<ContentEncoding>) -> PayloadStore {
    let keys = Credentials::from_keys("a", "s", None);
    let config = SdkConfig::builder()
        .region(Region::from_static("eu-west-1"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(keys));
    let bucket = bucket.map(|bucket| PayloadPlace::parse(bucket).unwrap());
    let settings = PayloadSettings {
        bucket,
        threshold: 1_000,
        max_bytes: 100_000,
        compression,
        ..PayloadSettings::default()
    };
    PayloadStore::new(&settings, &config.build()).unwrap()
}

fn outgoing(body: &str, attributes: usize) -> Outgoing {
    let attributes: Attributes =
        (0..attributes).map(|number| (format!("a{number}"), Attribute::text("x"))).collect();
    Outgoing {
        body: body.to_owned(),
        attributes: Arc::new(attributes),
        deduplication_id: "d".to_owned(),
        ..Outgoing::default()
    }
}

fn received(outgoing: &Outgoing) -> Message {
    let attributes = (*outgoing.attributes).clone();
    Message { body: outgoing.body.clone(), attributes, ..Message::default() }
}

#[tokio::test]
async fn a_message_above_the_threshold_has_its_body_in_s3() {
    let (endpoint, mut seen) = s3(200).await;
    let store = store(&endpoint, Some("payloads/out/"), None);
    let small = outgoing(&"x".repeat(1_000 - 9), 1);
    assert_eq!((small.bytes(), store.offload(small.clone()).await), (1_000, Ok(small)));
    assert!(seen.try_recv().is_err(), "nothing was put");

    let body = "ü".repeat(500);
    let sent = store.offload(outgoing(&body, 9)).await.unwrap();
    let (line, object) = seen.recv().await.unwrap();
    assert_eq!(object, body);
    let encoded = EncodedBody::of(&received(&sent)).unwrap().unwrap();
    let pointer = encoded.pointer.unwrap();
    assert_eq!((&*pointer.bucket, encoded.size, encoded.encoding), ("payloads", Some(1_000), None));
    assert_eq!(line, format!("put /payloads/{} http/1.1", pointer.key.to_lowercase()));
    assert!(pointer.key.starts_with("out/") && pointer.key.len() == "out/".len() + 26, "{pointer}");
    assert_eq!(sent.attributes["ExtendedPayloadSize"].data_type(), "Number");
    assert_eq!((sent.attributes.len(), &*sent.deduplication_id), (10, "d"));
}

#[tokio::test]
async fn a_body_is_compressed_before_it_is_put_anywhere() {
    let (endpoint, mut seen) = s3(200).await;
    let compressible = "some text ".repeat(200);
    let random: String = (0..3_000).map(|_| fastrand::alphanumeric()).collect();
    for encoding in ContentEncoding::ALL {
        let label = encoding.label();
        for bucket in [None, Some("payloads")] {
            let sent = store(&endpoint, bucket, Some(encoding)).offload(outgoing(&compressible, 9)).await;
            let sent = sent.unwrap();
            assert_eq!(sent.attributes["contentEncoding"].as_text(), Some(label));
            assert_eq!(sent.attributes.len(), 10, "no pointer");
            assert_eq!(decompress(encoding, sent.body.as_bytes(), 10_000), Ok(compressible.clone()));
        }
        assert!(seen.try_recv().is_err(), "nothing was put");
        let sent =
            store(&endpoint, Some("payloads"), Some(encoding)).offload(outgoing(&random, 0)).await.unwrap();
        let (_, object) = seen.recv().await.unwrap();
        let is_compressed = sent.attributes.contains_key("contentEncoding");
        let stored =
            if is_compressed { decompress(encoding, object.as_bytes(), 10_000) } else { Ok(object.clone()) };
        assert_eq!(stored, Ok(random.clone()));
        assert_eq!(sent.attributes["ExtendedPayloadSize"].as_text(), Some(&*object.len().to_string()));
    }
}

#[tokio::test]
async fn what_cannot_be_made_small_is_an_error_with_its_reason() {
    let (endpoint, _seen) = s3(403).await;
    let body = "x".repeat(2_000);
    let put = |outgoing| {
        let store = store(&endpoint, Some("payloads"), None);
        async move { store.offload(outgoing).await.unwrap_err() }
    };
    assert_eq!(put(outgoing(&body, 10)).await, OffloadError::NoRoom { attributes: 10 });
    let too_large = OffloadError::TooLarge { bytes: 100_001, max_bytes: 100_000 };
    assert_eq!(put(outgoing(&"x".repeat(100_001), 0)).await, too_large);
    let denied = put(outgoing(&body, 0)).await.to_string();
    assert!(denied.starts_with("s3://payloads/") && denied.ends_with("S3 answers 403"), "{denied}");
}

#[tokio::test]
async fn a_trace_makes_room_for_a_pointer() {
    let (endpoint, _seen) = s3(200).await;
    let mut large = outgoing(&"x".repeat(2_000), 9);
    Arc::make_mut(&mut large.attributes).insert("traceparent".to_owned(), Attribute::text("00-1-2-01"));
    let full = OffloadError::NoRoom { attributes: 10 };
    let store = store(&endpoint, Some("payloads"), None);
    assert_eq!(store.offload(large.clone()).await, Err(full), "nothing else has the trace");
    large.trace_header = Some("Root=1-2-3".to_owned());
    let sent = store.offload(large).await.unwrap();
    assert!(!sent.attributes.contains_key("traceparent") && sent.attributes.len() == 10);
}

#[tokio::test]
async fn a_message_that_cannot_be_put_blocks_its_group() {
    let (endpoint, _seen) = s3(403).await;
    let store = store(&endpoint, Some("payloads"), None);
    let batch = || -> Vec<Outgoing> {
        let large = "x".repeat(2_000);
        [("small", "a"), (&*large, "b"), ("small", "b"), ("small", "c")]
            .into_iter()
            .enumerate()
            .map(|(line, (body, group))| Outgoing { line, group: Some(group.into()), ..outgoing(body, 0) })
            .collect()
    };
    let small = batch().remove(0);
    let body = small.body.as_ptr();
    let offloaded = Offloaded::by(&store, vec![small], false).await;
    assert_eq!(offloaded.ready[0].body.as_ptr(), body, "a small message is moved, not copied");
    for (is_fifo, ready) in [(false, vec![0, 2, 3]), (true, vec![0, 3])] {
        let offloaded = Offloaded::by(&store, batch(), is_fifo).await;
        let lines = |batch: &[Outgoing]| batch.iter().map(|message| message.line).collect::<Vec<_>>();
        assert_eq!(lines(&offloaded.ready), ready, "FIFO {is_fifo}");
        let taken = || Ok(Taken { message_id: "m".to_owned(), sequence_number: None });
        let (all, reply) = offloaded.answered(Ok(ready.iter().map(|_| taken()).collect()));
        assert_eq!(lines(&all), [0, 1, 2, 3]);
        let sent = reply.unwrap().iter().map(Result::is_ok).collect::<Vec<_>>();
        assert_eq!(sent, [true, false, !is_fifo, true]);
    }
}
