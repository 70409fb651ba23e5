//! Requests to an AWS API with signatures made here, for services whose SDK would be too large for the few requests needed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use ::http::{Request, Response};
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use bytes::Bytes;

use crate::causes::with_causes;
use crate::endpoint::endpoint;
use crate::environment::Environment;
use crate::http::connector_of;
use crate::request::{MAX_ANSWER_BYTES, NoAnswer, send_bounded};

/// The service whose paths are signed unchanged, and whose requests contain the hash of their body.
const S3: &str = "s3";

/// The time before their expiry at which credentials are replaced: longer than a request and than the difference between
/// clocks.
const RENEW_BEFORE: Duration = Duration::from_secs(60);

/// Returns a service's name in AWS's settings (`AWS_ENDPOINT_URL_CLOUDWATCH`).
fn name_in_settings(service: &str) -> &str {
    if service == "monitoring" { "cloudwatch" } else { service }
}

/// An API of AWS.
#[derive(Debug, Clone)]
pub struct SignedApi {
    connector: SharedHttpConnector,
    config: SdkConfig,
    region: String,
    service: &'static str,
    endpoint: String,
    credentials: Arc<Mutex<Option<Credentials>>>,
}

impl SignedApi {
    /// Creates a client for the API of `service` (`lambda`, `sns`, `s3`, `monitoring`: as in signatures and host names) in a
    /// region, by default the region of the configuration. The endpoint is that of the environment or the profile, otherwise
    /// that of the configuration, otherwise AWS's own.
    ///
    /// # Errors
    ///
    /// Returns an error text for the user if no region is known, or if a setting of the environment is invalid.
    pub fn new(
        config: &SdkConfig,
        environment: &Environment,
        service: &'static str,
        region: Option<&str>,
    ) -> Result<Self, String> {
        let known = region.or(config.region().map(AsRef::as_ref));
        let region = known.ok_or("no AWS region is known")?.to_owned();
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let endpoint = endpoint(environment, config, name_in_settings(service))?
            .or_else(|| config.endpoint_url().map(str::to_owned))
            .unwrap_or_else(|| format!("https://{service}.{region}.{suffix}"));
        let connector = connector_of(environment)?;
        let (config, credentials) = (config.clone(), Arc::default());
        Ok(Self { connector, config, region, service, endpoint, credentials })
    }

    /// Returns the address of the API, without a slash at its end.
    pub fn endpoint(&self) -> &str {
        self.endpoint.trim_end_matches('/')
    }

    /// Returns the region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Signs and sends a request whose URI begins with [`endpoint`](Self::endpoint). The response may have any status.
    ///
    /// # Errors
    ///
    /// Returns an error text for the user if there are no credentials, or if there is no response in time.
    pub async fn send(&self, request: Request<Bytes>, patience: Duration) -> Result<Response<Bytes>, String> {
        let answer = self.send_bounded(request, patience, MAX_ANSWER_BYTES).await;
        answer.map_err(|error| error.to_string())
    }

    /// Sends a request with another limit of the response's size, at least [`MAX_ANSWER_BYTES`](crate::MAX_ANSWER_BYTES).
    ///
    /// # Errors
    ///
    /// Returns the errors of [`send`](Self::send).
    pub async fn send_bounded(
        &self,
        request: Request<Bytes>,
        patience: Duration,
        max_bytes: usize,
    ) -> Result<Response<Bytes>, NoAnswer> {
        let max_bytes = max_bytes.max(MAX_ANSWER_BYTES);
        let request = self.signed(request).await.map_err(NoAnswer::Failed)?;
        send_bounded(&self.connector, request, patience, max_bytes).await
    }

    /// Returns credentials. Credentials with an expiry are cached until shortly before it: otherwise a role's credentials would
    /// be requested for each request.
    async fn credentials(&self) -> Result<Credentials, String> {
        let last = |credentials: &Credentials| {
            credentials.expiry().is_some_and(|expiry| expiry > SystemTime::now() + RENEW_BEFORE)
        };
        let kept = self.credentials.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(credentials) = kept.filter(last) {
            return Ok(credentials);
        }
        let provider = self.config.credentials_provider().ok_or("no credentials are set")?;
        let credentials = provider.provide_credentials().await.map_err(|error| with_causes(&error))?;
        *self.credentials.lock().unwrap_or_else(PoisonError::into_inner) = Some(credentials.clone());
        Ok(credentials)
    }

    async fn signed(&self, mut request: Request<Bytes>) -> Result<Request<Bytes>, String> {
        let credentials = self.credentials().await?;
        let identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.service)
            .time(SystemTime::now())
            .settings(self.settings())
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let uri = request.uri().to_string();
        let headers =
            request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let signable = SignableRequest::new(
            request.method().as_str(),
            uri,
            headers,
            SignableBody::Bytes(request.body()),
        )
        .map_err(|error| error.to_string())?;
        let (instructions, _) = sign(signable, &parameters).map_err(|error| error.to_string())?.into_parts();
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }

    fn settings(&self) -> SigningSettings {
        let mut settings = SigningSettings::default();
        if self.service == S3 {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::loader;

    async fn api(service: &'static str, more: (&str, &str)) -> SignedApi {
        let region = if more.0 == "AWS_REGION" { more.1 } else { "eu-west-1" };
        let keys = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "s")];
        let environment = Environment::from([keys[0], keys[1], more, ("AWS_REGION", region)]);
        let config = loader(&environment).unwrap().load().await;
        SignedApi::new(&config, &environment, service, None).unwrap()
    }

    #[tokio::test]
    async fn an_endpoint_is_the_environments_else_awss_own() {
        let none = ("X", "");
        assert_eq!(api("sns", none).await.endpoint(), "https://sns.eu-west-1.amazonaws.com");
        let china = ("AWS_REGION", "cn-north-1");
        assert_eq!(api("sns", china).await.endpoint(), "https://sns.cn-north-1.amazonaws.com.cn");
        let own = ("AWS_ENDPOINT_URL_SNS", "http://127.0.0.1:4566/");
        assert_eq!(api("sns", own).await.endpoint(), "http://127.0.0.1:4566");
        assert_eq!(api("lambda", own).await.endpoint(), "https://lambda.eu-west-1.amazonaws.com");
    }

    #[tokio::test]
    async fn requests_are_signed_for_their_service() {
        for (service, has_hash) in [("sns", false), ("s3", true)] {
            let api = api(service, ("X", "")).await;
            let request =
                Request::post(format!("{}/a%20b", api.endpoint())).body(Bytes::from_static(b"x")).unwrap();
            let signed = api.signed(request).await.unwrap();
            let authorization = signed.headers()["authorization"].to_str().unwrap();
            assert!(authorization.contains(&format!("/eu-west-1/{service}/aws4_request")), "{authorization}");
            assert_eq!(signed.headers().contains_key("x-amz-content-sha256"), has_hash, "{service}");
        }
    }
}
