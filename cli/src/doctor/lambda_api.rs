//! The two questions for Lambda: which mappings a queue has, and how long their functions may take. Signed by hand, because
//! AWS's SDK for Lambda would be by far the largest dependency of this program.

use std::time::Duration;

use aws_config::SdkConfig;
use bytes::Bytes;
use drumline_aws::{Environment, SignedApi};
use http::Request;
use serde_json::{Map, Value};
use url::Url;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Pages of mappings that are read: no queue has a thousand.
const MAX_PAGES: usize = 10;

/// A mapping and its function, each under the names that CloudFormation gives their properties, which are the API's own.
pub(super) struct Mapping {
    pub(super) mapping: Map<String, Value>,
    /// Or why it could not be asked for.
    pub(super) function: Result<Map<String, Value>, String>,
}

/// Lambda's API, as far as it is asked.
pub(super) struct LambdaApi(SignedApi);

impl LambdaApi {
    pub(super) fn new(config: &SdkConfig) -> Result<Self, String> {
        SignedApi::new(config, &Environment::of_process(), "lambda", None).map(Self)
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
        let endpoint = self.0.endpoint();
        let mut url =
            Url::parse(&format!("{endpoint}{path}")).map_err(|error| format!("{endpoint}: {error}"))?;
        if !query.is_empty() {
            // Signatures want %20 and the like, and not the plus of forms; these values hold no spaces.
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = Request::get(url.as_str()).body(Bytes::new()).map_err(|error| error.to_string())?;
        let response = self.0.send(request, TIMEOUT).await?;
        let said: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        if response.status().is_success() {
            return Ok(said);
        }
        let message = said["Message"].as_str().or_else(|| said["message"].as_str()).unwrap_or_default();
        Err(format!("Lambda answers {} {message}", response.status().as_u16()))
    }
}

/// An ARN as one part of a path.
fn encoded(arn: &str) -> String {
    arn.replace(':', "%3A")
}
