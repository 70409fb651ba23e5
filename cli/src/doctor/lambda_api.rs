//! The two questions for Lambda: which mappings a queue has, and how long their functions may take. Signed by hand, because
//! AWS's SDK for Lambda would be by far the largest dependency of this program.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use drumline_aws::Environment;
use drumline_runtime::aws::with_causes;
use http::Request;
use http_body_util::{BodyExt, Limited};
use serde_json::{Map, Value};
use tokio::time::timeout;
use url::Url;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Answers name a hundred mappings at most; a function's configuration may hold 4 KB of variables.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Pages of mappings that are read: no queue has a thousand.
const MAX_PAGES: usize = 10;

/// A mapping and its function, each under the names that CloudFormation gives their properties, which are the API's own.
pub(super) struct Mapping {
    pub(super) mapping: Map<String, Value>,
    /// Or why it could not be asked for.
    pub(super) function: Result<Map<String, Value>, String>,
}

/// Lambda's API, as far as it is asked.
pub(super) struct LambdaApi {
    connector: SharedHttpConnector,
    config: SdkConfig,
    region: String,
    endpoint: String,
}

impl LambdaApi {
    pub(super) fn new(config: &SdkConfig) -> Result<Self, String> {
        let region = config.region().ok_or("no AWS region is known")?.to_string();
        let environment = Environment::of_process();
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let endpoint = drumline_aws::endpoint(&environment, config, "Lambda")?
            .or_else(|| config.endpoint_url().map(str::to_owned))
            .unwrap_or_else(|| format!("https://lambda.{region}.{suffix}"));
        let connector = drumline_aws::connector_of(&environment)?;
        Ok(Self { connector, config: config.clone(), region, endpoint })
    }

    /// See [ListEventSourceMappings](https://docs.aws.amazon.com/lambda/latest/api/API_ListEventSourceMappings.html).
    pub(super) async fn mappings_of(&self, queue_arn: &str) -> Result<Vec<Mapping>, String> {
        let mut mappings = Vec::new();
        let mut marker = None;
        for _ in 0..MAX_PAGES {
            let mut query = vec![("EventSourceArn", queue_arn.to_owned())];
            query.extend(marker.take().map(|marker| ("Marker", marker)));
            let mut page = self.get("/2015-03-31/event-source-mappings", &query).await?;
            if let Value::Array(found) = page["EventSourceMappings"].take() {
                for mapping in found {
                    if let Value::Object(mapping) = mapping {
                        mappings.push(self.with_function(mapping).await);
                    }
                }
            }
            marker = page["NextMarker"].as_str().filter(|marker| !marker.is_empty()).map(str::to_owned);
            if marker.is_none() {
                break;
            }
        }
        Ok(mappings)
    }

    async fn with_function(&self, mut mapping: Map<String, Value>) -> Mapping {
        let arn = mapping.get("FunctionArn").and_then(Value::as_str).unwrap_or_default().to_owned();
        // Templates say whether a mapping is enabled, the API which state that has led to.
        if let Some(state) = mapping.remove("State") {
            let disabled = matches!(state.as_str(), Some("Disabled" | "Disabling"));
            mapping.insert("Enabled".to_owned(), Value::Bool(!disabled));
        }
        mapping.insert("FunctionName".to_owned(), Value::String(arn.clone()));
        // The API names what is not set too.
        mapping.retain(|_, value| !value.is_null());
        let path = format!("/2015-03-31/functions/{}/configuration", encoded(&arn));
        let function = match self.get(&path, &[]).await {
            Ok(Value::Object(mut function)) => {
                function.insert("FunctionName".to_owned(), Value::String(arn));
                Ok(function)
            }
            Ok(_) => Err(format!("Lambda does not describe {arn}")),
            Err(problem) => Err(format!("{arn}: {problem}")),
        };
        Mapping { mapping, function }
    }

    async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, String> {
        let mut url = Url::parse(&format!("{}{path}", self.endpoint.trim_end_matches('/')))
            .map_err(|error| format!("{}: {error}", self.endpoint))?;
        if !query.is_empty() {
            // Signatures want %20 and the like, and not the plus of forms; these values hold no spaces.
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.signed(&url).await?;
        let response = timeout(TIMEOUT, self.connector.call(request))
            .await
            .map_err(|_| format!("no answer within {} s", TIMEOUT.as_secs()))?
            .map_err(|error| format!("{}: {}", self.endpoint, with_causes(&error)))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        if (200..300).contains(&status) {
            return Ok(said);
        }
        let message = said["Message"].as_str().or_else(|| said["message"].as_str()).unwrap_or_default();
        Err(format!("Lambda answers {status} {message}"))
    }

    async fn signed(&self, url: &Url) -> Result<HttpRequest, String> {
        let provider = self.config.credentials_provider().ok_or("no credentials are set")?;
        let credentials = provider.provide_credentials().await.map_err(|error| error.to_string())?;
        let identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("lambda")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let mut request =
            Request::get(url.as_str()).body(SdkBody::empty()).map_err(|error| error.to_string())?;
        let signable =
            SignableRequest::new("GET", url.as_str(), std::iter::empty(), SignableBody::Bytes(&[]))
                .map_err(|error| error.to_string())?;
        let (instructions, _) = sign(signable, &parameters).map_err(|error| error.to_string())?.into_parts();
        instructions.apply_to_request_http1x(&mut request);
        HttpRequest::try_from(request).map_err(|error| error.to_string())
    }
}

/// An ARN as one part of a path.
fn encoded(arn: &str) -> String {
    arn.replace(':', "%3A")
}
