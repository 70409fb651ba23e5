//! The certificates of the connection to the collector.

use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// The files of a signal's certificates, in PEM format.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CertificateFiles {
    /// The only certificates that verify the collector. Without it those of the system do, or those of `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR`.
    pub(crate) trusted: Option<String>,
    /// The certificate, with its chain, by which the collector knows this process.
    pub(crate) own: Option<String>,
    /// The key of [`own`](Self::own).
    pub(crate) key: Option<String>,
}

/// Returns the TLS configuration of a connection. Without https no file is read: reading the certificates of the system takes longer than
/// all else of a start.
pub(crate) fn config(is_https: bool, files: &CertificateFiles) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    if !is_https {
        return Ok(config.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
    }
    let config = match &files.trusted {
        Some(path) => config.with_root_certificates(trusted(path)?),
        None => config
            .with_native_roots()
            .map_err(|error| format!("no trusted certificates for https: {error}"))?,
    };
    match (&files.own, &files.key) {
        (None, None) => Ok(config.with_no_client_auth()),
        (Some(own), Some(key)) => {
            let (chain, private) = (certificates(own)?, private_key(key)?);
            config
                .with_client_auth_cert(chain, private)
                .map_err(|error| format!("client certificate {own:?} with the key {key:?}: {error}"))
        }
        _ => Err("a client certificate needs both OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and \
                  OTEL_EXPORTER_OTLP_CLIENT_KEY"
            .to_owned()),
    }
}

fn trusted(path: &str) -> Result<RootCertStore, String> {
    let mut trusted = RootCertStore::empty();
    for certificate in certificates(path)? {
        trusted.add(certificate).map_err(|error| format!("certificate {path:?} cannot be used: {error}"))?;
    }
    Ok(trusted)
}

/// Reads the certificates of a PEM file.
fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = std::fs::read(path).map_err(|error| format!("certificate {path:?} cannot be read: {error}"))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|error| format!("certificate {path:?} is not PEM: {error}"))?;
    if certificates.is_empty() {
        return Err(format!("certificate {path:?} holds none in PEM format (-----BEGIN CERTIFICATE-----)"));
    }
    Ok(certificates)
}

/// Reads the private key of a PEM file. An error names the file and nothing that is in it.
fn private_key(path: &str) -> Result<PrivateKeyDer<'static>, String> {
    let pem = std::fs::read(path).map_err(|error| format!("key {path:?} cannot be read: {error}"))?;
    PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| format!("key {path:?} holds no private key in PEM format (-----BEGIN PRIVATE KEY-----)"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_client_certificate_needs_its_key_and_errors_name_the_file() {
        let missing = |files: CertificateFiles| config(true, &files).unwrap_err();
        let path = |name: &str| Some(format!("/no/such/{name}"));
        let trusted = CertificateFiles { trusted: path("ca.pem"), ..CertificateFiles::default() };
        assert!(missing(trusted.clone()).contains("/no/such/ca.pem"));
        // Without https no file is read.
        config(false, &trusted).unwrap();
        let of_this_repository = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/tests/aws/certificates");
        let file = |name: &str| Some(format!("{of_this_repository}/{name}"));
        let own = CertificateFiles {
            trusted: file("ca.pem"),
            own: file("server.pem"),
            key: file("server-key.pem"),
        };
        config(true, &own).unwrap();
        let without_key = missing(CertificateFiles { key: None, ..own.clone() });
        assert!(without_key.contains("OTEL_EXPORTER_OTLP_CLIENT_KEY"), "{without_key}");
        let swapped = missing(CertificateFiles { key: file("ca.pem"), ..own });
        assert!(swapped.contains("ca.pem") && swapped.contains("private key"), "{swapped}");
    }
}
