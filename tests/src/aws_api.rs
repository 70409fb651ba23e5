//! AWS's APIs on `LocalStack` through plain requests: SDKs for them take minutes to compile, and the tests use little of them.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use crate::http::exchange;
use crate::queues::{REGION, localstack};

/// `LocalStack` does not check signatures. It reads only the service and the region from them.
pub(crate) fn authorization(service: &str) -> String {
    let scope = format!("20260101/{REGION}/{service}/aws4_request");
    format!("AWS4-HMAC-SHA256 Credential=test/{scope}, SignedHeaders=host, Signature=none")
}

/// Calls an action of a service with the query protocol: parameters as a form, the response as JSON. The error is the service's
/// text.
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

/// Calls an action of a service with the JSON protocol. `target` names the action.
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

/// Puts a file into a new bucket, and returns the bucket's name.
pub(crate) async fn put_object(key: &str, content: Vec<u8>) -> String {
    let bucket = create_bucket().await;
    s3(Method::PUT, &format!("{bucket}/{key}"), content).await;
    bucket
}

/// Creates a bucket with a unique name, and returns the name.
pub async fn create_bucket() -> String {
    let bucket = format!("test-{:x}-{:x}", std::process::id(), fastrand::u32(..));
    let region = format!(
        "<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
    );
    s3(Method::PUT, &bucket, region.into_bytes()).await;
    bucket
}

/// Puts an object into a bucket.
pub async fn put(bucket: &str, key: &str, content: impl Into<Vec<u8>>) {
    s3(Method::PUT, &format!("{bucket}/{key}"), content.into()).await;
}

/// Makes S3 report each new object of a bucket to a queue, and puts an object with this key into the bucket.
pub async fn report_object(bucket: &str, queue_arn: &str, key: &str) {
    let configuration = format!(
        "<NotificationConfiguration><QueueConfiguration><Queue>{queue_arn}</Queue><Event>s3:ObjectCreated:*</Event>\
         </QueueConfiguration></NotificationConfiguration>"
    );
    s3(Method::PUT, &format!("{bucket}?notification"), configuration.into_bytes()).await;
    s3(Method::PUT, &format!("{bucket}/{key}"), b"an object".to_vec()).await;
}

/// Returns a setting of a bucket, such as `lifecycle`, as S3 responds.
pub async fn bucket_setting(bucket: &str, name: &str) -> String {
    s3(Method::GET, &format!("{bucket}?{name}"), Vec::new()).await
}

/// Returns the objects of a bucket with at most a thousand: keys and texts.
pub async fn objects(bucket: &str) -> Vec<(String, String)> {
    let listed = s3(Method::GET, &format!("{bucket}?list-type=2"), Vec::new()).await;
    let keys = listed.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
    let mut objects = Vec::new();
    for (key, _) in keys {
        objects.push((key.to_owned(), s3(Method::GET, &format!("{bucket}/{key}"), Vec::new()).await));
    }
    objects
}

async fn s3(method: Method, path: &str, content: Vec<u8>) -> String {
    let request = Request::builder()
        .method(method)
        .uri(format!("{}/{path}", localstack()))
        .header("authorization", authorization("s3"))
        .body(Full::new(Bytes::from(content)));
    let answer = exchange(request.unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(answer.body()).into_owned();
    assert!(answer.status().is_success(), "{path}: {} {text}", answer.status());
    text
}

/// Returns the members of a list in such a response: JSON converted from XML, where a list of one looks like its member.
pub(crate) fn members(list: &Value) -> Vec<Value> {
    match &list["member"] {
        Value::Array(members) => members.clone(),
        Value::Null => Vec::new(),
        member => vec![member.clone()],
    }
}
