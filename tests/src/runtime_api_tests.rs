//! Tests of the Runtime API from the view of a function's process.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;

use crate::eventually::eventually;
use crate::http::exchange;
use crate::runtime_api::{End, FUNCTION_ARN, Invocation, RuntimeApi};

fn url(api: &RuntimeApi, path: &str) -> String {
    format!("http://{}/2018-06-01/runtime/{path}", api.address())
}

async fn next(api: &RuntimeApi) -> Response<Bytes> {
    exchange(Request::get(url(api, "invocation/next")).body(Full::default()).unwrap()).await.unwrap()
}

async fn post(api: &RuntimeApi, path: &str, error_type: Option<&str>, body: &'static str) -> u16 {
    let mut request = Request::post(url(api, path));
    if let Some(error_type) = error_type {
        request = request.header("Lambda-Runtime-Function-Error-Type", error_type);
    }
    exchange(request.body(Full::from(body)).unwrap()).await.unwrap().status().as_u16()
}

fn header(response: &Response<Bytes>, name: &str) -> String {
    response.headers()[name].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_invocation_is_handed_out_and_its_response_comes_back() {
    let api = RuntimeApi::start().await;
    let pending = api.invoke(Invocation::new("{}").timeout(Duration::from_secs(7)));
    let begun = SystemTime::now();
    let event = next(&api).await;
    assert_eq!((event.status().as_u16(), &event.body()[..]), (200, &b"{}"[..]));
    let id = header(&event, "lambda-runtime-aws-request-id");
    assert_eq!(id, pending.request_id());
    assert_eq!(header(&event, "lambda-runtime-invoked-function-arn"), FUNCTION_ARN);
    assert!(header(&event, "lambda-runtime-trace-id").starts_with("Root=1-"));
    let deadline: u64 = header(&event, "lambda-runtime-deadline-ms").parse().unwrap();
    let left = UNIX_EPOCH + Duration::from_millis(deadline + 1);
    assert!(left.duration_since(begun).unwrap() >= Duration::from_secs(7));

    let response = r#"{"batchItemFailures":[{"itemIdentifier":"a\"b"}]}"#;
    assert_eq!(post(&api, &format!("invocation/{id}/response"), None, response).await, 202);
    let answered = pending.answered().await;
    assert_eq!((answered.end, answered.text()), (End::Response, response));
    answered.expect_failed(&["a\"b"]);
    assert_eq!((api.asked().len(), api.faults()), (1, Vec::new()));

    assert_eq!(post(&api, &format!("invocation/{id}/response"), None, "{}").await, 400, "it has ended");
    assert_eq!(api.faults().len(), 1);
}

#[tokio::test]
async fn errors_of_an_invocation_and_of_the_start_are_told_apart() {
    let api = RuntimeApi::start().await;
    let body = r#"{"errorType":"Kind","errorMessage":"why"}"#;
    assert_eq!(post(&api, "init/error", Some("Runtime.InitError"), body).await, 202);
    let errors = api.init_errors();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].error_type.as_deref(), Some("Runtime.InitError"));
    assert_eq!(errors[0].body["errorMessage"], "why");

    let pending = api.invoke(Invocation::new("[]").deadline_header("600000"));
    let event = next(&api).await;
    assert_eq!(header(&event, "lambda-runtime-deadline-ms"), "600000");
    let id = header(&event, "lambda-runtime-aws-request-id");
    assert_eq!(post(&api, &format!("invocation/{id}/error"), Some("Kind"), body).await, 202);
    assert_eq!(pending.answered().await.expect_error("Kind"), "why");
}

#[tokio::test]
async fn several_may_wait_for_events() {
    let api = RuntimeApi::start().await;
    let invoke = async {
        eventually("both wait", async || api.asked().len() == 2).await;
        (api.invoke(Invocation::new("1")), api.invoke(Invocation::new("2")))
    };
    let (first, second, (one, two)) = tokio::join!(next(&api), next(&api), invoke);
    let mut ids = [&first, &second].map(|event| header(event, "lambda-runtime-aws-request-id"));
    let mut expected = [one.request_id(), two.request_id()].map(str::to_owned);
    ids.sort();
    expected.sort();
    assert_eq!(ids, expected);
}
