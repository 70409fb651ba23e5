//! The settings of the payment provider.

use std::time::Duration;

use http::{HeaderValue, Uri};
use url::Url;

use super::reader::Reader;
use super::variables::{BILLING_TIMEOUT, BILLING_TOKEN, BILLING_URL};

/// Providers usually respond within a second or two. After ten seconds another attempt is better, and the same key makes it
/// safe.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Far longer than any provider's own limits.
const MAX_TIMEOUT: Duration = Duration::from_mins(10);

/// The payment provider.
#[derive(Debug, Clone)]
pub(crate) struct BillingSettings {
    /// The URL; `None` if it is not set.
    pub(crate) url: Option<SecretUri>,
    pub(crate) token: Option<Token>,
    /// The time limit of one request, from connecting to the response's last byte.
    pub(crate) timeout: Duration,
}

impl BillingSettings {
    pub(super) const UNSET: Self = Self { url: None, token: None, timeout: DEFAULT_TIMEOUT };

    pub(super) fn read(read: &mut Reader<impl Fn(&str) -> Option<String>>) -> Self {
        let url = read.get(BILLING_URL).and_then(|value| {
            let parsed = SecretUri::parse(&value);
            if let Err(problem) = &parsed {
                let hint = if *problem == CREDENTIALS { ": DRUMLINE_BILLING_TOKEN is for them" } else { "" };
                read.problem(BILLING_URL, format!("{problem}{hint}"));
            }
            parsed.ok()
        });
        let token = read.get(BILLING_TOKEN).and_then(|value| {
            let token = Token::new(value);
            if token.is_none() {
                read.problem(BILLING_TOKEN, "holds what cannot be sent: it is visible ASCII without spaces");
            }
            token
        });
        let timeout = read.time(BILLING_TIMEOUT, DEFAULT_TIMEOUT, MAX_TIMEOUT);
        Self { url, token, timeout }
    }
}

/// An address whose query may contain a key.
#[derive(Clone)]
pub(crate) struct SecretUri(Uri);

/// The problem of a URL with a user or a password.
const CREDENTIALS: &str = "credentials do not belong into the URL";

impl SecretUri {
    /// Parses an address. The error never contains the value, which may include a password.
    pub(crate) fn parse(value: &str) -> Result<Self, &'static str> {
        const NO_URL: &str = "not an https:// or http:// URL";
        let url = Url::parse(value).map_err(|_| NO_URL)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(NO_URL);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(CREDENTIALS);
        }
        url.as_str().parse().map(Self).map_err(|_| NO_URL)
    }

    /// Returns the whole address, for the request.
    pub(crate) fn expose(&self) -> &Uri {
        &self.0
    }
}

impl std::fmt::Debug for SecretUri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let query = if self.0.query().is_some() { "?***" } else { "" };
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        write!(f, "{}://{authority}{}{query}", self.0.scheme_str().unwrap_or_default(), self.0.path())
    }
}

/// A secret that is sent only as `Authorization: Bearer`.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    fn new(text: String) -> Option<Self> {
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())).then_some(Self(text))
    }

    pub(crate) fn header(&self) -> HeaderValue {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.0)).expect("visible ASCII");
        value.set_sensitive(true);
        value
    }

    /// Removes the secret from a text of another party.
    pub(crate) fn hide_in(&self, text: &str) -> String {
        text.replace(&self.0, "[token]")
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::settings::{InvalidSetting, Settings};

    fn read(values: &[(&str, &str)]) -> Result<BillingSettings, Vec<InvalidSetting>> {
        let lookup =
            |name: &str| values.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Settings::from_lookup(lookup).map(|settings| settings.billing)
    }

    #[test]
    fn a_provider_is_read() {
        let unset = read(&[]).unwrap();
        assert!(unset.url.is_none() && unset.token.is_none());
        assert_eq!(unset.timeout, Duration::from_secs(10));
        let set = read(&[
            (BILLING_URL, "https://payments.example.com/v1/charges?key=secret"),
            (BILLING_TOKEN, "sk_secret"),
            (BILLING_TIMEOUT, "1m 30s"),
        ]);
        let set = set.unwrap();
        assert_eq!(set.url.as_ref().unwrap().expose().path(), "/v1/charges");
        assert_eq!(set.timeout, Duration::from_secs(90));
        assert_eq!(set.token.as_ref().unwrap().header(), "Bearer sk_secret");
        let header = set.token.as_ref().unwrap().header();
        assert!(!format!("{set:?} {header:?}").contains("secret"));
    }

    #[test]
    fn every_bad_value_is_reported_without_secrets() {
        for url in ["payments.example.com", "ftp://example.com/", "https://u:secret@example.com/"] {
            let problems = read(&[(BILLING_URL, url)]).unwrap_err();
            assert_eq!(problems[0].name, BILLING_URL);
            assert!(!problems[0].to_string().contains("secret"), "{problems:?}");
        }
        let problems =
            read(&[(BILLING_TOKEN, "my secret"), (BILLING_TIMEOUT, "0s"), (BILLING_URL, "secret")])
                .unwrap_err();
        let names: Vec<&str> = problems.iter().map(|problem| problem.name).collect();
        assert_eq!(names, [BILLING_URL, BILLING_TOKEN, BILLING_TIMEOUT]);
        assert!(!format!("{problems:?}").contains("secret"), "{problems:?}");
        for time in ["11m", "ten", "-1s"] {
            assert_eq!(read(&[(BILLING_TIMEOUT, time)]).unwrap_err()[0].name, BILLING_TIMEOUT, "{time}");
        }
    }

    #[test]
    fn a_token_is_taken_out_of_what_is_said() {
        let token = Token::new("sk_1".into()).unwrap();
        assert_eq!(token.hide_in("no such key: sk_1"), "no such key: [token]");
    }
}
