#![allow(clippy::unwrap_used)]

use drumline::run::FailureKind;

use super::super::objects::tests::s3_that_says;
use super::*;

const WHOLE: &str = "200 OK\r\nContent-Length: 10\r\nETag: \"v1\"\r\n\r\n0123456789";

async fn rest(stream: &mut ObjectStream, bytes: usize) -> Result<Vec<Bytes>, Failure> {
    let mut pieces = Vec::new();
    while let Some(piece) = stream.next(bytes).await? {
        pieces.push(piece);
    }
    Ok(pieces)
}

fn version() -> Version {
    Version("\"v1\"".into())
}

#[tokio::test]
async fn an_object_is_read_in_pieces() {
    let (objects, _requests) = s3_that_says(&[WHOLE]).await;
    let mut stream = open(objects.client().await.unwrap().clone(), "sales", "a.csv").await.unwrap();
    assert_eq!((stream.version.clone(), stream.size), (Some(version()), Some(10)));
    assert_eq!(rest(&mut stream, 4).await.unwrap(), ["0123", "4567", "89"]);
    assert_eq!(stream.position, 10);
}

#[tokio::test]
async fn an_object_is_read_on_in_the_same_version() {
    let answer = "206 Partial\r\nContent-Length: 4\r\nContent-Range: bytes 6-9/10\r\n\r\n6789";
    let (objects, mut requests) = s3_that_says(&[answer]).await;
    let client = objects.client().await.unwrap().clone();
    let mut stream = reopen(client, "sales", "a.csv", &version(), 7).await.unwrap().unwrap();
    assert_eq!((stream.position, stream.size), (7, Some(10)));
    assert_eq!(rest(&mut stream, 99).await.unwrap(), ["789"]);
    let request = requests.recv().await.unwrap();
    assert!(request.contains("\r\nrange: bytes=6-\r\n"), "{request}");
    assert!(request.contains("\r\nif-match: \"v1\"\r\n"), "{request}");
}

#[tokio::test]
async fn an_objects_end_and_beginning_are_places_too() {
    let end = "206 Partial\r\nContent-Length: 1\r\nContent-Range: bytes 9-9/10\r\n\r\n9";
    let begin = "206 Partial\r\nContent-Length: 10\r\nContent-Range: bytes 0-9/10\r\n\r\n0123456789";
    for (answer, offset, expected) in [(end, 10, &[][..]), (begin, 0, &["0123456789"])] {
        let (objects, _requests) = s3_that_says(&[answer]).await;
        let client = objects.client().await.unwrap().clone();
        let mut stream = reopen(client, "sales", "a.csv", &version(), offset).await.unwrap().unwrap();
        assert_eq!(rest(&mut stream, 99).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn another_version_is_not_read_on() {
    let error = |status: &str, code: &str| {
        format!(
            "{status}\r\nConnection: close\r\nContent-Type: application/xml\r\n\r\n<Error><Code>{code}</Code></Error>"
        )
    };
    for answer in [
        error("412 Precondition Failed", "PreconditionFailed"),
        error("416 Range Not Satisfiable", "InvalidRange"),
        // A store without ranges sends the whole object.
        WHOLE.to_owned(),
        "206 Partial\r\nContent-Length: 10\r\nContent-Range: bytes 0-9/10\r\n\r\n0123456789".to_owned(),
    ] {
        let (objects, _requests) = s3_that_says(&[&answer]).await;
        let client = objects.client().await.unwrap().clone();
        assert!(reopen(client, "sales", "a.csv", &version(), 7).await.unwrap().is_none());
    }
    let gone = error("404 Not Found", "NoSuchKey");
    let (objects, _requests) = s3_that_says(&[&gone]).await;
    let failure =
        reopen(objects.client().await.unwrap().clone(), "sales", "a.csv", &version(), 7).await.err().unwrap();
    assert_eq!(failure.kind(), FailureKind::Reject);
}

const BROKEN: &str = "200 OK\r\nContent-Length: 10\r\nETag: \"v1\"\r\n\r\n012345";

#[tokio::test]
async fn a_broken_connection_is_gone_on_with() {
    let on = "206 Partial\r\nContent-Length: 5\r\nContent-Range: bytes 5-9/10\r\n\r\n56789";
    let (objects, mut requests) = s3_that_says(&[BROKEN, on]).await;
    let mut stream = open(objects.client().await.unwrap().clone(), "sales", "a.csv").await.unwrap();
    assert_eq!(rest(&mut stream, 4).await.unwrap(), ["0123", "4567", "89"]);
    requests.recv().await.unwrap();
    assert!(requests.recv().await.unwrap().contains("range: bytes=5-"));
}

#[tokio::test]
async fn a_connection_that_gives_nothing_is_not_gone_on_with() {
    let (objects, _requests) = s3_that_says(&[BROKEN]).await;
    let mut stream = open(objects.client().await.unwrap().clone(), "sales", "a.csv").await.unwrap();
    let failure = rest(&mut stream, 8).await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Retry);
    assert!(failure.reason().contains("broke off"), "{failure}");
}

#[tokio::test]
async fn a_change_in_between_is_noticed() {
    let changed = "412 Precondition Failed\r\nConnection: close\r\nContent-Type: application/xml\r\n\r\n\
                   <Error><Code>PreconditionFailed</Code></Error>";
    let (objects, _requests) = s3_that_says(&[BROKEN, changed]).await;
    let mut stream = open(objects.client().await.unwrap().clone(), "sales", "a.csv").await.unwrap();
    let failure = rest(&mut stream, 4).await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Retry);
    assert!(failure.reason().contains("was changed while it was read"), "{failure}");
}
