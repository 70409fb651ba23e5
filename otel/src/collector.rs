//! The HTTP client that posts to the collector, on the runtime of the program.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry_http::{HttpClient, HttpError};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// An answer says in a few bytes what was not taken.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The time after which an idle connection is closed: less than the minute after which common servers close theirs.
const KEEP_ALIVE: Duration = Duration::from_secs(45);

/// The way to the collector.
#[derive(Debug, Clone)]
pub(crate) struct Collector {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
    timeout: Duration,
}

impl Collector {
    /// A client for this address, whose connections live on `runtime`. For `https` it trusts the certificates of the system, or those of
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR`, or only those of the file `certificate`.
    pub(crate) fn new(
        endpoint: &str,
        certificate: Option<&str>,
        timeout: Duration,
        runtime: Handle,
    ) -> Result<Self, String> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        let provider = rustls::crypto::ring::default_provider();
        let builder = HttpsConnectorBuilder::new();
        let is_https = endpoint.starts_with("https:");
        let builder = if is_https && certificate.is_none() {
            let builder = builder.with_provider_and_native_roots(provider);
            builder.map_err(|error| format!("no trusted certificates for https: {error}"))?
        } else {
            // Reading the certificates of the system takes longer than all else of a start.
            let config = ClientConfig::builder_with_provider(Arc::new(provider))
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?;
            let trusted = match certificate.filter(|_| is_https) {
                Some(path) => certificates(path)?,
                None => RootCertStore::empty(),
            };
            builder.with_tls_config(config.with_root_certificates(trusted).with_no_client_auth())
        };
        let connector = builder.https_or_http().enable_http1().wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEEP_ALIVE)
            .build(connector);
        Ok(Self { client, runtime, timeout })
    }

    async fn post(self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let exchange = async {
            let (parts, body) = self.client.request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await?.to_bytes();
            Ok(Response::from_parts(parts, body))
        };
        timeout(self.timeout, exchange).await?
    }
}

/// Reads the certificates of a PEM file.
fn certificates(path: &str) -> Result<RootCertStore, String> {
    let pem = std::fs::read(path).map_err(|error| format!("certificate {path:?} cannot be read: {error}"))?;
    let mut trusted = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| format!("certificate {path:?} is not PEM: {error}"))?;
        trusted.add(certificate).map_err(|error| format!("certificate {path:?} cannot be used: {error}"))?;
    }
    if trusted.is_empty() {
        return Err(format!("certificate {path:?} holds none in PEM format (-----BEGIN CERTIFICATE-----)"));
    }
    Ok(trusted)
}

/// Requests are made on the runtime, whichever thread asks for them: that of the SDK's batches belongs to none.
#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.runtime.spawn(self.clone().post(request)).await?
    }
}
