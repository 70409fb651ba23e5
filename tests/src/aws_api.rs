//! AWS's APIs on `LocalStack` in plain requests: SDKs for them take minutes to compile, and the tests ask little.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use crate::http::exchange;
use crate::queues::{REGION, localstack};

/// `LocalStack` does not look at signatures, only at the service and the region that they name.
pub(crate) fn authorization(service: &str) -> String {
    let scope = format!("20260101/{REGION}/{service}/aws4_request");
    format!("AWS4-HMAC-SHA256 Credential=test/{scope}, SignedHeaders=host, Signature=none")
}

/// What an action of a service with the query protocol answers: parameters as a form, the answer as JSON. An error is what
/// the service says.
pub(crate) async fn query(
    service: &str,
    version: &str,
    action: &str,
    parameters: &[(String, String)],
) -> Result<Value, String> {
    let mut form = Serializer::new(String::new());
    form.append_pair("Action", action).append_pair("Version", version).extend_pairs(parameters);
    let request = Request::post(localstack())
        .header("content-type", "application/x-www-form-urlencoded")
        .header("accept", "application/json")
        .header("authorization", authorization(service))
        .body(Full::new(Bytes::from(form.finish())));
    let answer = exchange(request.unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(answer.body()).into_owned();
    if !answer.status().is_success() {
        return Err(said);
    }
    let answer: Value =
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{action}: {error} in {said}"));
    Ok(answer[format!("{action}Response")][format!("{action}Result")].clone())
}

/// The answer of a service with the JSON protocol. `target` names the action.
pub(crate) async fn call(service: &str, target: &str, parameters: &Value) -> Value {
    let request = Request::post(localstack())
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", target)
        .header("authorization", authorization(service))
        .body(Full::new(Bytes::from(parameters.to_string())));
    let answer = exchange(request.unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(answer.body());
    assert!(answer.status().is_success(), "{target}: {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

/// Puts a file into a bucket of its own, and tells the bucket's name.
pub(crate) async fn put_object(key: &str, content: Vec<u8>) -> String {
    let bucket = format!("code-{:x}-{:x}", std::process::id(), fastrand::u32(..));
    let region = format!(
        "<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
    );
    for (path, content) in [(bucket.clone(), region.into_bytes()), (format!("{bucket}/{key}"), content)] {
        let request = Request::builder()
            .method(Method::PUT)
            .uri(format!("{}/{path}", localstack()))
            .header("authorization", authorization("s3"))
            .body(Full::new(Bytes::from(content)));
        let answer = exchange(request.unwrap()).await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }
    bucket
}

/// The members of a list of such an answer: JSON made of XML, where a list of one looks like its member.
pub(crate) fn members(list: &Value) -> Vec<Value> {
    match &list["member"] {
        Value::Array(members) => members.clone(),
        Value::Null => Vec::new(),
        member => vec![member.clone()],
    }
}
