//! The delivery of alerts to a webhook or an SNS topic: one request each, without payloads.

use std::time::Duration;

use bytes::Bytes;
use drumline_aws::{Environment, SignedApi, connector_of, loader, send};
use drumline_dlq::alert::{Alert, Template};
use drumline_runtime::AlertTarget;
use drumline_runtime::aws::is_fifo;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Request, Response, StatusCode, Uri};
use serde_json::Value;

/// The time limit for the target's answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The maximum number of characters of a refusal that are shown.
const MAX_REFUSAL: usize = 200;

/// Delivers alerts.
pub struct Alerts {
    way: Way,
    template: Option<Template>,
}

enum Way {
    Webhook { uri: Uri, environment: Environment },
    Topic { arn: String, api: Box<SignedApi> },
}

impl Alerts {
    /// Makes alerts for this target, with AWS's settings and the network settings of the process. A template replaces the
    /// [usual document](Alert::document).
    ///
    /// # Errors
    /// If a setting of the environment cannot be used, as a text for the user.
    pub async fn new(target: AlertTarget, template: Option<Template>) -> Result<Self, String> {
        Self::with(target, template, &Environment::of_process()).await
    }

    pub(super) async fn with(
        target: AlertTarget,
        template: Option<Template>,
        environment: &Environment,
    ) -> Result<Self, String> {
        let way = match target {
            AlertTarget::Webhook(uri) => {
                connector_of(environment)?;
                Way::Webhook { uri, environment: environment.clone() }
            }
            AlertTarget::Topic { arn, region } => {
                let config = loader(environment)?.load().await;
                let api = SignedApi::new(&config, environment, "sns", Some(&region))?;
                Way::Topic { arn, api: Box::new(api) }
            }
        };
        Ok(Self { way, template })
    }

    /// Delivers an alert with one request.
    ///
    /// # Errors
    /// If the target does not accept it.
    pub async fn deliver(&self, alert: &Alert) -> Result<(), Undelivered> {
        let document = match &self.template {
            Some(template) => template.fill(alert),
            None => Value::Object(alert.document()),
        };
        // A server may repeat the URL, and the path of a webhook is its secret, so only the status of its answer is shown.
        let (response, shows_body) = match &self.way {
            Way::Webhook { uri, environment } => {
                let request = Request::post(uri)
                    .header(CONTENT_TYPE, "application/json")
                    .header(USER_AGENT, concat!("drumline/", env!("CARGO_PKG_VERSION")))
                    .body(Bytes::from(document.to_string()))
                    .map_err(|error| error.to_string())?;
                (send(&connector_of(environment)?, request, PATIENCE).await?, false)
            }
            Way::Topic { arn, api } => {
                let request = Request::post(format!("{}/", api.endpoint()))
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(Bytes::from(publish(arn, alert, &document)))
                    .map_err(|error| error.to_string())?;
                (api.send(request, PATIENCE).await?, true)
            }
        };
        if response.status().is_success() { Ok(()) } else { Err(refusal(&response, shows_body)) }
    }
}

/// An alert that its target did not accept.
#[derive(Debug)]
pub struct Undelivered {
    /// The problem, as a text for the log.
    pub text: String,
    /// True if the target refuses this alert, and would refuse it again.
    pub is_final: bool,
}

impl From<String> for Undelivered {
    fn from(text: String) -> Self {
        Self { text, is_final: false }
    }
}

/// See [Publish](https://docs.aws.amazon.com/sns/latest/api/API_Publish.html).
fn publish(topic_arn: &str, alert: &Alert, document: &Value) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", "Publish")
        .append_pair("Version", "2010-03-31")
        .append_pair("TopicArn", topic_arn)
        .append_pair("Subject", &alert.subject())
        .append_pair("Message", &document.to_string());
    if is_fifo(topic_arn) {
        let id = format!("{}-{}-{}", alert.fingerprint, alert.first_at_ms, alert.count);
        form.append_pair("MessageGroupId", &alert.dlq).append_pair("MessageDeduplicationId", &id);
    }
    form.finish()
}

fn refusal(response: &Response<Bytes>, shows_body: bool) -> Undelivered {
    let status = response.status();
    let body = String::from_utf8_lossy(response.body());
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    let says: String = if shows_body {
        body.trim().chars().map(shown).take(MAX_REFUSAL).collect()
    } else {
        status.canonical_reason().unwrap_or_default().to_owned()
    };
    let text = format!("it answers {} {says}", status.as_u16()).trim_end().to_owned();
    Undelivered { text, is_final: refuses_the_alert(status, shows_body.then_some(&body)) }
}

/// Returns true if the target may accept the next alert, but never this one: false if the target is missing, busy, or does not
/// know the sender. `aws_error` is the body of an answer by AWS, which uses status 400 for throttling.
fn refuses_the_alert(status: StatusCode, aws_error: Option<&str>) -> bool {
    let is_later = matches!(status.as_u16(), 401 | 403 | 404 | 408 | 425 | 429)
        || aws_error.is_some_and(|body| body.contains("Throttl") || body.contains("Expired"));
    status.is_client_error() && !is_later
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::{Arc, Mutex};

    use axum::body::Bytes as Body;
    use axum::http::HeaderMap;
    use axum::routing::post;
    use drumline_dlq::fingerprint::Fingerprint;
    use tokio::net::TcpListener;

    use super::*;

    type Calls = Arc<Mutex<Vec<(HeaderMap, String)>>>;

    /// Starts a server with one answer to every POST, and returns the received requests.
    async fn server(status: StatusCode, body: &'static str) -> (String, Calls) {
        let calls = Calls::default();
        let seen = Arc::clone(&calls);
        let answer = async move |headers: HeaderMap, sent: Body| {
            seen.lock().unwrap().push((headers, String::from_utf8(sent.to_vec()).unwrap()));
            (status, body)
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let router = axum::Router::new().route("/", post(answer));
        tokio::spawn(async { axum::serve(listener, router).await });
        (url, calls)
    }

    /// Returns an environment without settings.
    fn bare() -> Environment {
        Environment::from([("AWS_PROFILE", ""); 0])
    }

    fn alert() -> Alert {
        Alert {
            dlq: "jobs-dlq".to_owned(),
            origin: None,
            job_type: Some("email.send".to_owned()),
            class: None,
            fingerprint: Fingerprint::of_reason("no user & co"),
            reason: "no user & co".to_owned(),
            count: 2,
            is_sample: false,
            is_new: true,
            first_at_ms: 7,
            depth: None,
            others: drumline_dlq::alert::Others::default(),
        }
    }

    #[tokio::test]
    async fn a_webhook_receives_the_document_or_the_template() {
        let (url, calls) = server(StatusCode::OK, "").await;
        let template = Template::parse(r#"{"summary":"{{text}}"}"#).unwrap();
        for template in [None, Some(template)] {
            let target = AlertTarget::parse(&url).unwrap();
            let alerts = Alerts::with(target, template, &bare()).await.unwrap();
            alerts.deliver(&alert()).await.unwrap();
        }
        let calls = calls.lock().unwrap();
        let sent: Vec<Value> = calls.iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect();
        assert_eq!((&sent[0]["text"], &sent[0]["count"]), (&alert().text().into(), &2.into()));
        assert_eq!(sent[1], serde_json::json!({ "summary": alert().text() }));
        assert_eq!(calls[0].0["content-type"], "application/json");
    }

    #[tokio::test]
    async fn a_topic_receives_a_signed_publish() {
        let (url, calls) = server(StatusCode::OK, "<PublishResponse/>").await;
        let arn = "arn:aws:sns:eu-west-1:123456789012:alerts";
        let environment = Environment::from([
            ("AWS_ENDPOINT_URL_SNS", &*url),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
        ]);
        let alerts = Alerts::with(AlertTarget::parse(arn).unwrap(), None, &environment).await.unwrap();
        alerts.deliver(&alert()).await.unwrap();
        let (headers, body) = calls.lock().unwrap().pop().unwrap();
        let authorization = headers["authorization"].to_str().unwrap();
        assert!(authorization.contains("/eu-west-1/sns/aws4_request"), "{authorization}");
        let fields: Vec<(String, String)> =
            url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Action", "Version", "TopicArn", "Subject", "Message"]);
        assert_eq!((&*fields[2].1, &*fields[3].1), (arn, &*alert().text()));
        let message: Value = serde_json::from_str(&fields[4].1).unwrap();
        assert_eq!(message["reason"], "no user & co");
    }

    #[tokio::test]
    async fn a_refusal_is_an_error_without_the_path() {
        let (url, _) = server(StatusCode::NOT_FOUND, "The URL /hook/s3cret was not found").await;
        let deliver = async |url: &str| {
            let target = AlertTarget::parse(url).unwrap();
            let alerts = Alerts::with(target, None, &bare()).await.unwrap();
            alerts.deliver(&alert()).await.unwrap_err().text
        };
        assert_eq!(deliver(&url).await, "it answers 404 Not Found");
        let unreachable = deliver("http://127.0.0.1:9/s3cret").await;
        assert!(unreachable.starts_with("127.0.0.1: ") && !unreachable.contains("s3cret"), "{unreachable}");
    }

    #[test]
    fn a_refusal_is_final_if_it_is_about_the_alert() {
        let table = [
            (400, None, true),
            (413, None, true),
            (422, Some("<Code>InvalidParameter</Code>"), true),
            (400, Some("<Code>Throttling</Code>"), false),
            (403, None, false),
            (404, None, false),
            (408, None, false),
            (429, None, false),
            (302, None, false),
            (503, None, false),
        ];
        for (status, aws_error, is_final) in table {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(refuses_the_alert(status, aws_error), is_final, "{status}");
        }
    }
}
