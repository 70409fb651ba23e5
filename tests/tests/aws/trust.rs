//! `AWS_CA_BUNDLE`: a proxy that decrypts TLS, like those of companies, with a certificate of its own authority.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use drumline_tests::Launch;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::{QUEUE, UNAVAILABLE};

const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/aws/certificates/ca.pem");

/// The server's response to every request.
const NO_QUEUE: &str = r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"behind TLS"}"#;

fn config() -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("certificates/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("certificates/server-key.pem")).unwrap();
    let builder = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into());
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    Arc::new(builder.with_single_cert(vec![certificate], key).unwrap())
}

/// Serves one tunnel after the other. The thread ends with the process.
fn opening_proxy() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = config();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that does not trust the certificate disconnects.
            drop(serve(stream.unwrap(), &config));
        }
    });
    format!("http://{address}")
}

fn serve(mut stream: TcpStream, config: &Arc<ServerConfig>) -> std::io::Result<()> {
    read_head(&mut BufReader::with_capacity(1, &stream))?;
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let connection = ServerConnection::new(Arc::clone(config)).unwrap();
    let mut tls = BufReader::new(StreamOwned::new(connection, stream));
    let length = read_head(&mut tls)?;
    tls.read_exact(&mut vec![0; length])?;
    let length = NO_QUEUE.len();
    write!(
        tls.get_mut(),
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {length}\r\n\r\n{NO_QUEUE}"
    )?;
    tls.get_mut().flush()
}

/// Reads a request's head. Returns the length of its body.
fn read_head(reader: &mut impl BufRead) -> std::io::Result<usize> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            return Ok(length);
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
}

fn run() -> Launch {
    Launch::new(&["run"]).env("DRUMLINE_QUEUE_URL", QUEUE).env("HTTPS_PROXY", &opening_proxy())
}

#[tokio::test]
async fn a_certificate_of_the_bundle_s_authority_is_trusted() {
    let finished = run().env("AWS_CA_BUNDLE", AUTHORITY).finish().await;
    let errors = finished.errors();
    assert_eq!(finished.status, Some(UNAVAILABLE), "{errors}");
    assert!(errors.contains("behind TLS"), "{errors}");
}

#[tokio::test]
async fn without_the_bundle_it_is_not() {
    let worker = run().spawn();
    let logged = worker.until_logged("the queue does not answer yet", 1).await;
    let error = logged[0]["error"].as_str().unwrap();
    assert!(error.contains("UnknownIssuer") && error.contains("AWS_CA_BUNDLE"), "{error}");
    worker.kill().await;
}
