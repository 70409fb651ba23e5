//! Two requests to Lambda: for the event source mappings of a queue, and for the configurations of their functions. Signed
//! here, because AWS's SDK for Lambda would be by far the largest dependency of this program.

use std::time::Duration;

use aws_config::SdkConfig;
use bytes::Bytes;
use drumline_aws::{Environment, SignedApi};
use http::Request;
use serde_json::{Map, Value};
use url::Url;

/// The timeout of one request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The largest number of pages of mappings to read: no queue has a thousand mappings.
const MAX_PAGES: usize = 10;

/// A mapping and its function, with properties named as in CloudFormation, which uses the API's names.
pub(super) struct Mapping {
    pub(super) mapping: Map<String, Value>,
    /// The function's configuration, or the reason why it could not be read.
    pub(super) function: Result<Map<String, Value>, String>,
}

/// A client for the part of Lambda's API that the command needs.
pub(super) struct LambdaApi(SignedApi);

impl LambdaApi {
    pub(super) fn new(config: &SdkConfig) -> Result<Self, String> {
        SignedApi::new(config, &Environment::of_process(), "lambda", None).map(Self)
    }

    /// Lists the event source mappings of a queue. See
    /// [ListEventSourceMappings](https://docs.aws.amazon.com/lambda/latest/api/API_ListEventSourceMappings.html).
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
        // A template states if a mapping is enabled; the API reports the resulting state.
        if let Some(state) = mapping.remove("State") {
            let disabled = matches!(state.as_str(), Some("Disabled" | "Disabling"));
            mapping.insert("Enabled".to_owned(), Value::Bool(!disabled));
        }
        mapping.insert("FunctionName".to_owned(), Value::String(arn.clone()));
        // The API includes unset properties.
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
            // Signatures need %20 and the like instead of the plus of forms; these values contain no spaces.
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

/// Encodes an ARN as one segment of a path.
fn encoded(arn: &str) -> String {
    arn.replace(':', "%3A")
}
