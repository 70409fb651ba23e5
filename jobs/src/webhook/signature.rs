//! The signature of a webhook, version 1 of [Standard Webhooks](https://www.standardwebhooks.com/).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The prefix of a secret in text form.
const PREFIX: &str = "whsec_";

/// The allowed lengths of a secret in bytes.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A secret that is shared with an endpoint's receiver.
#[derive(Clone)]
pub(super) struct Secret(Vec<u8>);

impl Secret {
    /// Parses `whsec_` and Base64. The error never contains the value.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const NO_SECRET: &str = "a secret is whsec_ and 24 to 64 bytes as Base64";
        let text = text.strip_prefix(PREFIX).ok_or(NO_SECRET)?;
        let bytes = STANDARD.decode(text).map_err(|_| NO_SECRET)?;
        if BYTES.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(NO_SECRET) }
    }

    fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Returns the header `webhook-signature`: one signature for each secret, so that a secret can be replaced while the receiver
/// still uses the old one.
pub(super) fn header(secrets: &[Secret], id: &str, timestamp: u64, body: &[u8]) -> String {
    secrets.iter().map(|secret| secret.sign(id, timestamp, body)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn a_published_example_is_signed_as_published() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let other = Secret::parse("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
        let (id, timestamp, body) =
            ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(header(std::slice::from_ref(&secret), id, timestamp, body), expected);
        let both = header(&[other, secret], id, timestamp, body);
        assert!(both.ends_with(&format!(" {expected}")) && both.matches("v1,").count() == 2, "{both}");
    }

    #[test]
    fn a_secret_is_long_enough_and_never_shown() {
        for text in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64"] {
            assert!(Secret::parse(text).is_err(), "{text}");
        }
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret");
    }
}
