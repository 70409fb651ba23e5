//! Small HTTP requests.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::TokioExecutor;

/// Sends a request and reads the whole response.
pub(crate) async fn exchange(request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Error> {
    // One client per request, because connections live on the runtime of the test that opened them.
    let client = Client::builder(TokioExecutor::new()).build_http();
    let (head, body) = client.request(request).await?.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Ok(Response::from_parts(head, body))
}

/// Returns status and body of a GET, or `None` without a response.
pub async fn get(url: &str) -> Option<(u16, String)> {
    let answer = exchange(Request::get(url).body(Full::default()).unwrap()).await.ok()?;
    Some((answer.status().as_u16(), String::from_utf8_lossy(answer.body()).into_owned()))
}

/// Returns the content type and the body of a GET with this `Accept`.
pub async fn get_as(url: &str, accept: &str) -> (String, String) {
    let request = Request::get(url).header("accept", accept).body(Full::default()).unwrap();
    let answer = exchange(request).await.unwrap();
    let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
    (content_type, String::from_utf8_lossy(answer.body()).into_owned())
}

/// Returns status and body of a POST.
pub async fn post(url: &str, content_type: &str, body: impl Into<Bytes>) -> (u16, String) {
    let request = Request::post(url).header("content-type", content_type).body(Full::new(body.into()));
    let answer = exchange(request.unwrap()).await.unwrap();
    (answer.status().as_u16(), String::from_utf8_lossy(answer.body()).into_owned())
}

/// Returns the status of a GET, or `None` without a response.
pub async fn status_of(url: &str) -> Option<u16> {
    Some(get(url).await?.0)
}
