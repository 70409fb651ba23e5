//! The endpoints of webhooks, in a file that is read again for each webhook, so that they can change without a restart.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use drumline::Failure;
use serde::Deserialize;
use serde_json::Value;

use super::signature::Secret;
use crate::settings::{SecretUri, WEBHOOK_ENDPOINTS};

/// The longest file, in bytes. It is read for each webhook.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The largest number of secrets of an endpoint: the old one, the new one, and one in reserve.
const MAX_SECRETS: usize = 3;

/// The file of the endpoints.
#[derive(Clone)]
pub(super) struct Endpoints(PathBuf);

/// A receiver's endpoint.
pub(super) struct Endpoint {
    pub(super) url: SecretUri,
    pub(super) secrets: Vec<Secret>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    url: String,
    secrets: Vec<String>,
}

impl Endpoints {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Returns the endpoint with this name. All problems are retried, because the file is at fault and can be fixed.
    pub(super) fn find(&self, name: &str) -> Result<Endpoint, Failure> {
        let path = self.0.display();
        let failure = |text: String| {
            Failure::retry(format_args!("the endpoints in {path} ({WEBHOOK_ENDPOINTS}): {text}"))
        };
        let bytes = self.read().map_err(|error| failure(error.to_string()))?;
        let endpoints: HashMap<String, Value> = serde_json::from_slice(&bytes).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            failure(format!("not an object of endpoints, at line {line} column {column}"))
        })?;
        let Some(record) = endpoints.get(name) else {
            return Err(failure(format!("there is none named {name}")));
        };
        endpoint(record).map_err(|problem| failure(format!("{name}: {problem}")))
    }

    fn read(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(&self.0)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_BYTES) {
            return Err(std::io::Error::other(format!("longer than {MAX_BYTES} bytes")));
        }
        Ok(bytes)
    }
}

/// Reads an endpoint. An error contains no value, which may be a secret.
fn endpoint(record: &Value) -> Result<Endpoint, &'static str> {
    let record = Record::deserialize(record)
        .map_err(|_| "an endpoint has the fields url (a text) and secrets (a list of texts)")?;
    if !(1..=MAX_SECRETS).contains(&record.secrets.len()) {
        return Err("an endpoint has 1 to 3 secrets");
    }
    let secrets = record.secrets.iter().map(|text| Secret::parse(text)).collect::<Result<_, _>>()?;
    Ok(Endpoint { url: SecretUri::parse(&record.url)?, secrets })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use super::*;

    #[test]
    fn a_fault_in_the_file_is_named_without_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("endpoints.json");
        let endpoints = Endpoints::new(path.clone());
        let reason = |text: &str| {
            fs::write(&path, text).unwrap();
            let failure = endpoints.find("crm").err().unwrap();
            assert!(!failure.reason().contains("hush"), "{failure}");
            failure.to_string()
        };
        for (text, part) in [
            ("", "line 1 column 0"),
            (r#"{"crm": hush}"#, "line 1"),
            ("[]", "not an object"),
            ("{}", "there is none named crm"),
            (r#"{"crm": {"url": "https://example.com", "secret": "hush"}}"#, "has the fields"),
            (r#"{"crm": {"url": "https://example.com", "secrets": []}}"#, "1 to 3 secrets"),
            (r#"{"crm": {"url": "https://example.com", "secrets": ["whsec_hush"]}}"#, "whsec_ and 24"),
            (
                r#"{"crm": {"url": "ftp://hush.example", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}}"#,
                "not an https:// or http:// URL",
            ),
        ] {
            let reason = reason(text);
            assert!(reason.contains(part) && reason.contains(WEBHOOK_ENDPOINTS), "{reason}");
        }
        fs::remove_file(&path).unwrap();
        assert!(endpoints.find("crm").is_err());
    }
}
