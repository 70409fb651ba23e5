//! Signature version 4 for the only form that requests have here: POST, no query, a fixed set of headers.
//!
//! Keys and signatures are made by `aws-sigv4`. Values that are the same for all requests of a client, or for all of a day, are
//! computed once.

use std::fmt;
use std::fmt::Write as _;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use http::HeaderValue;
use sha2::{Digest as _, Sha256};

use crate::identity::{DayKey, Identity, KeptKey};

/// The name of SQS in signatures.
const SERVICE: &str = "sqs";

/// The media type of AWS JSON 1.0.
pub(crate) const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

const DAY: u64 = 24 * 60 * 60;

/// The headers that a signature adds to a request.
pub(crate) struct Signed {
    pub(crate) date: HeaderValue,
    pub(crate) authorization: HeaderValue,
}

/// Signs the requests to one endpoint.
pub(crate) struct Signer {
    region: String,
    /// The state of the canonical request's hash, up to the date.
    begun: Sha256,
}

/// Shows no key.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("region", &self.region).finish_non_exhaustive()
    }
}

impl Signer {
    /// Makes a signer of requests to this `Host` and path.
    pub(crate) fn new(region: String, host: &str, path: &str) -> Self {
        let path = encoded(path);
        let begun = Sha256::new_with_prefix(format!(
            "POST\n{path}\n\ncontent-type:{CONTENT_TYPE}\nhost:{host}\nx-amz-date:"
        ));
        Self { region, begun }
    }

    /// Signs a request with the time `now`.
    ///
    /// # Errors
    /// If the access key has a character that is not allowed in a header.
    pub(crate) fn sign(
        &self,
        now: SystemTime,
        identity: &Identity,
        target: &str,
        body: &[u8],
    ) -> Result<Signed, http::Error> {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let token = identity.token.as_ref();
        let signed_headers = signed_headers(token.is_some());
        let scope = (&*self.region, SERVICE);
        let key = identity.key.of_day(seconds, scope, &identity.credentials, signed_headers);
        let date = date(&key.date, seconds);

        let mut canonical = self.begun.clone();
        canonical.update(&date);
        if let Some(token) = token {
            canonical.update("\nx-amz-security-token:");
            canonical.update(token);
        }
        canonical.update("\nx-amz-target:");
        canonical.update(target);
        canonical.update("\nx-amzn-query-mode:true\n\n");
        canonical.update(signed_headers);
        canonical.update("\n");
        canonical.update(hexadecimal(&Sha256::digest(body).into()));

        let mut authorization = HeaderValue::try_from(key.authorization(&date, canonical))?;
        authorization.set_sensitive(true);
        Ok(Signed { date: HeaderValue::try_from(date)?, authorization })
    }
}

impl KeptKey {
    /// Returns the key of the day of this time, for a region and a service.
    fn of_day(
        &self,
        seconds: u64,
        (region, service): (&str, &str),
        credentials: &Credentials,
        signed_headers: &str,
    ) -> Arc<DayKey> {
        let day = seconds / DAY;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some(key) if key.day == day => Arc::clone(key),
            _ => {
                let time = UNIX_EPOCH + Duration::from_secs(seconds);
                let key = generate_signing_key(credentials.secret_access_key(), time, region, service);
                let date = date_of_day(seconds);
                let scope = format!("{date}/{region}/{service}/aws4_request");
                let authorization = format!(
                    "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed_headers}, Signature=",
                    credentials.access_key_id()
                );
                let key = DayKey { day, date, scope, authorization, key: key.as_ref().to_vec() };
                Arc::clone(kept.insert(Arc::new(key)))
            }
        }
    }
}

impl DayKey {
    /// Returns the `Authorization` header of a request with this date, from the hash of its canonical form.
    fn authorization(&self, date: &str, canonical: Sha256) -> String {
        let mut to_sign = Vec::with_capacity(192);
        for part in ["AWS4-HMAC-SHA256\n", date, "\n", &self.scope, "\n"] {
            to_sign.extend_from_slice(part.as_bytes());
        }
        to_sign.extend_from_slice(&hexadecimal(&canonical.finalize().into()));
        let signature = calculate_signature(&self.key, &to_sign);
        let mut authorization = String::with_capacity(self.authorization.len() + signature.len());
        authorization.push_str(&self.authorization);
        authorization.push_str(&signature);
        authorization
    }
}

fn signed_headers(has_token: bool) -> &'static str {
    if has_token {
        "content-type;host;x-amz-date;x-amz-security-token;x-amz-target;x-amzn-query-mode"
    } else {
        "content-type;host;x-amz-date;x-amz-target;x-amzn-query-mode"
    }
}

/// Returns the path in the form of signatures, in which it is encoded once more.
fn encoded(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Returns a hash in hexadecimal.
fn hexadecimal(hash: &[u8; 32]) -> [u8; 64] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 64];
    for (digits, byte) in text.chunks_exact_mut(2).zip(hash) {
        digits[0] = DIGITS[usize::from(byte >> 4)];
        digits[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

/// Returns a day as `20261130`.
fn date_of_day(seconds: u64) -> String {
    let time = DateTime::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    let text = time.fmt(Format::DateTime).unwrap_or_default();
    text.chars().take_while(|character| *character != 'T').filter(|character| *character != '-').collect()
}

/// Returns a time of this day as `20261130T120000Z`.
fn date(day: &str, seconds: u64) -> String {
    let seconds = seconds % DAY;
    let mut text = String::with_capacity(16);
    text.push_str(day);
    text.push('T');
    for part in [seconds / 3600, seconds / 60 % 60, seconds % 60] {
        for digit in [part / 10, part % 10] {
            text.push(char::from(b"0123456789"[usize::try_from(digit).unwrap_or_default()]));
        }
    }
    text.push('Z');
    text
}

#[cfg(test)]
#[path = "sign_tests.rs"]
mod tests;
