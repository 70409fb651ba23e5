//! Signature version 4 of the one form that requests have here: POST, no query, a fixed set of headers.
//!
//! Keys and signatures are those of `aws-sigv4`. A key is the same for a day, and deriving it is most of the work, so the last one is
//! kept.

use std::fmt;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use sha2::{Digest as _, Sha256};

/// SQS in signatures.
const SERVICE: &str = "sqs";

/// The media type of AWS JSON 1.0.
pub(crate) const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// A request that is to be signed.
pub(crate) struct Signable<'a> {
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    pub(crate) target: &'a str,
    pub(crate) body: &'a [u8],
}

/// The headers that a signature adds.
pub(crate) struct Signed {
    pub(crate) date: String,
    pub(crate) authorization: String,
}

/// Signs the requests of one region.
pub(crate) struct Signer {
    region: String,
    key: Mutex<Option<Arc<DayKey>>>,
}

/// The key of one access key and day.
struct DayKey {
    access_key: String,
    day: u64,
    key: Vec<u8>,
}

/// No key in it.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("region", &self.region).finish_non_exhaustive()
    }
}

impl Signer {
    pub(crate) fn new(region: String) -> Self {
        Self { region, key: Mutex::default() }
    }

    /// Signs a request as of `now`.
    pub(crate) fn sign(&self, now: SystemTime, credentials: &Credentials, request: &Signable<'_>) -> Signed {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let date = date(seconds);
        let scope = format!("{}/{}/{SERVICE}/aws4_request", &date[..8], self.region);
        let (canonical, signed_headers) = canonical(request, &date, credentials.session_token());
        let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hash(canonical.as_bytes()));
        let key = self.key(seconds, credentials);
        let signature = calculate_signature(&key.key, to_sign.as_bytes());
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed_headers}, Signature={signature}",
            credentials.access_key_id()
        );
        Signed { date, authorization }
    }

    fn key(&self, seconds: u64, credentials: &Credentials) -> Arc<DayKey> {
        const DAY: u64 = 24 * 60 * 60;
        let (day, access_key) = (seconds / DAY, credentials.access_key_id());
        let mut kept = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some(key) if key.day == day && key.access_key == access_key => Arc::clone(key),
            _ => {
                let time = UNIX_EPOCH + Duration::from_secs(seconds);
                let key = generate_signing_key(credentials.secret_access_key(), time, &self.region, SERVICE);
                let key = DayKey { access_key: access_key.to_owned(), day, key: key.as_ref().to_vec() };
                Arc::clone(kept.insert(Arc::new(key)))
            }
        }
    }
}

/// Returns the canonical request, and the names of the headers that are signed.
fn canonical(request: &Signable<'_>, date: &str, token: Option<&str>) -> (String, &'static str) {
    let Signable { host, path, target, body } = request;
    let signed = match token {
        None => "content-type;host;x-amz-date;x-amz-target;x-amzn-query-mode",
        Some(_) => "content-type;host;x-amz-date;x-amz-security-token;x-amz-target;x-amzn-query-mode",
    };
    let mut text = String::with_capacity(512 + token.map_or(0, str::len));
    let _ = write!(text, "POST\n{path}\n\ncontent-type:{CONTENT_TYPE}\nhost:{host}\nx-amz-date:{date}\n");
    if let Some(token) = token {
        let _ = writeln!(text, "x-amz-security-token:{token}");
    }
    let _ = write!(text, "x-amz-target:{target}\nx-amzn-query-mode:true\n\n{signed}\n{}", hash(body));
    (text, signed)
}

/// Returns the SHA-256 of bytes in hexadecimal.
fn hash(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Returns a time as `20261130T120000Z`.
pub(crate) fn date(seconds: u64) -> String {
    let time = DateTime::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    let text = time.fmt(Format::DateTime).unwrap_or_default();
    text.chars().filter(|character| !matches!(character, '-' | ':')).collect()
}

#[cfg(test)]
#[path = "sign_tests.rs"]
mod tests;
