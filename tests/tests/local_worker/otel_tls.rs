//! A collector behind TLS that wants to know its clients.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use drumline_tests::{App, Launch, LocalQueue, Setup, eventually};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/local_worker/otel_certificates");

/// The path and the body of a request.
type Posted = (String, Vec<u8>);

fn config() -> Arc<ServerConfig> {
    let certificate = |name: &str| CertificateDer::from_pem_file(format!("{CERTIFICATES}/{name}")).unwrap();
    let key = PrivateKeyDer::from_pem_file(format!("{CERTIFICATES}/collector-key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut clients = RootCertStore::empty();
    clients.add(certificate("ca.pem")).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(clients), Arc::clone(&provider))
        .build()
        .unwrap();
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_client_cert_verifier(verifier);
    Arc::new(builder.with_single_cert(vec![certificate("collector.pem")], key).unwrap())
}

/// Takes requests of clients with a certificate of the authority. Its threads end with the process.
fn tls_collector() -> (String, Receiver<Posted>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (posted, requests) = channel();
    let config = config();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (config, posted) = (Arc::clone(&config), posted.clone());
            // A client without a certificate is disconnected.
            std::thread::spawn(move || serve(stream.unwrap(), config, &posted).is_ok());
        }
    });
    (format!("https://{address}"), requests)
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, posted: &Sender<Posted>) -> std::io::Result<()> {
    let mut tls = BufReader::new(StreamOwned::new(ServerConnection::new(config).unwrap(), stream));
    loop {
        let (mut path, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if tls.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim().to_ascii_lowercase();
            if let Some(rest) = line.strip_prefix("post ") {
                rest.split(' ').next().unwrap().clone_into(&mut path);
            } else if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            } else if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        tls.read_exact(&mut body)?;
        // The test may be over.
        if posted.send((path, body)).is_err() {
            return Ok(());
        }
        tls.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        tls.get_mut().flush()?;
    }
}

fn worker(queue: &LocalQueue, app: &App, collector: &str) -> Launch {
    Launch::on(queue)
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector)
        .env("OTEL_EXPORTER_OTLP_CERTIFICATE", &format!("{CERTIFICATES}/ca.pem"))
        .env("OTEL_METRIC_EXPORT_INTERVAL", "200")
        .env("OTEL_BSP_SCHEDULE_DELAY", "200")
}

#[tokio::test]
async fn a_client_certificate_opens_the_collector_for_spans_and_metrics() {
    let (app, queue) = (App::always_ok().await, LocalQueue::create(Setup::default()).await);
    let (url, requests) = tls_collector();
    let worker = worker(&queue, &app, &url)
        .env("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &format!("{CERTIFICATES}/client.pem"))
        .env("OTEL_EXPORTER_OTLP_CLIENT_KEY", &format!("{CERTIFICATES}/client-key.pem"))
        .spawn();
    queue.send("{}");
    let (mut spans, mut series) = (0, 0);
    eventually("both signals arrive", async || {
        for (path, body) in requests.try_iter() {
            if path == "/v1/traces" {
                spans += ExportTraceServiceRequest::decode(&*body).unwrap().resource_spans.len();
            } else {
                series += ExportMetricsServiceRequest::decode(&*body).unwrap().resource_metrics.len();
            }
        }
        spans > 0 && series > 0
    })
    .await;
    let finished = worker.stop().await;
    assert_eq!(finished.logged("metrics not exported"), Vec::<serde_json::Value>::new());
}

#[tokio::test]
async fn without_a_client_certificate_the_log_names_the_reason() {
    let (app, queue) = (App::always_ok().await, LocalQueue::create(Setup::default()).await);
    let (url, requests) = tls_collector();
    let worker = worker(&queue, &app, &url).spawn();
    let line = worker.until_logged("metrics not exported", 1).await.remove(0);
    let error = line["error"].as_str().unwrap();
    assert!(error.to_ascii_lowercase().contains("certificate"), "{line}");
    worker.stop().await;
    assert_eq!(requests.try_iter().count(), 0);
}

#[tokio::test]
async fn a_certificate_without_its_key_turns_exports_off_and_the_worker_runs() {
    let (app, queue) = (App::always_ok().await, LocalQueue::create(Setup::default()).await);
    let worker = worker(&queue, &app, "https://127.0.0.1:9")
        .env("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &format!("{CERTIFICATES}/client.pem"))
        .spawn();
    queue.send("{}");
    eventually("it is done", async || app.count() == 1 && queue.count() == 0).await;
    let finished = worker.stop().await;
    let lines = finished.logged("OpenTelemetry exports nothing of this signal");
    assert_eq!(lines.len(), 2, "{}", finished.errors());
    assert!(lines[0]["error"].as_str().unwrap().contains("OTEL_EXPORTER_OTLP_CLIENT_KEY"), "{lines:?}");
}
