//! The certificates that verify services and a TLS proxy.

use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::environment::Environment;

const BUNDLE: &str = "AWS_CA_BUNDLE";

/// Returns the TLS settings: the system's root certificates, or those of `AWS_CA_BUNDLE` instead, like AWS's other tools.
pub(crate) fn tls_context(environment: &Environment) -> Result<TlsContext, String> {
    let store = match root_certificates(environment)? {
        Some(certificates) => {
            let mut store = TrustStore::empty();
            for certificate in &certificates {
                store.add_pem_certificate(to_pem(certificate));
            }
            store
        }
        None => TrustStore::default(),
    };
    TlsContext::builder().with_trust_store(store).build().map_err(|error| error.to_string())
}

/// Returns the root certificates of `AWS_CA_BUNDLE`, which replace the system's; `None` if it is not set.
///
/// # Errors
///
/// Returns an error text for the user if the file is invalid.
pub fn root_certificates(environment: &Environment) -> Result<Option<Vec<CertificateDer<'static>>>, String> {
    let Some(path) = environment.get(BUNDLE) else { return Ok(None) };
    bundle(path).map(Some).map_err(|problem| format!("{BUNDLE} {path:?}: {problem}"))
}

/// Reads a bundle. The client panics on an unusable certificate, so these are left out here: bundles of companies often contain
/// some old ones.
fn bundle(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| format!("is not PEM: {error}"))?;
        if RootCertStore::empty().add(certificate.clone()).is_ok() {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err("holds no root certificate in PEM format (-----BEGIN CERTIFICATE-----)".to_owned());
    }
    Ok(certificates)
}

fn to_pem(certificate: &CertificateDer<'_>) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(certificate))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_bundle_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let junk = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        for (name, content) in [
            ("missing.pem", None),
            ("empty.pem", Some("")),
            ("text.pem", Some("no certificate")),
            ("key.pem", Some("-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n")),
            ("broken.pem", Some("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")),
            ("junk.pem", Some(junk)),
        ] {
            let path = folder.path().join(name);
            if let Some(content) = content {
                std::fs::write(&path, content).unwrap();
            }
            let environment = Environment::from([(BUNDLE, path.to_str().unwrap())]);
            let problem = tls_context(&environment).err().unwrap_or_else(|| panic!("{name}"));
            assert!(problem.contains(BUNDLE) && problem.contains(name), "{problem}");
        }
    }

    #[test]
    fn an_empty_variable_means_the_systems_certificates() {
        assert!(tls_context(&Environment::from([(BUNDLE, "")])).is_ok());
    }
}
