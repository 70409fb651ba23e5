//! A response to an HTTP request.

use std::time::{Duration, SystemTime};

use drumline::Failure;
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// The largest number of characters of a server's text in a reason.
const MAX_WORDS: usize = 300;

/// The fields in which servers give a reason: common fields first, then those of [problem
/// details](https://www.rfc-editor.org/rfc/rfc9457).
const WORDS: [&str; 6] = ["/reason", "/message", "/error/message", "/error", "/detail", "/title"];

/// A response as it was received.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    /// The body as text, or the reason why there is none.
    pub(crate) body: Result<String, String>,
}

impl Answer {
    pub(crate) fn new(
        status: StatusCode,
        headers: &HeaderMap,
        now: SystemTime,
        body: Result<String, String>,
    ) -> Self {
        Self { status, retry_after: retry_after(headers, now), body }
    }

    /// Returns a failure that is retried, after the time that the server gives if it does.
    pub(crate) fn again(&self, reason: &str) -> Failure {
        match self.retry_after {
            Some(delay) => Failure::retry_after(delay, reason),
            None => Failure::retry(reason),
        }
    }

    /// Returns a failure of a service that asks for a pause: no other job of the type calls it meanwhile.
    pub(crate) fn throttled(&self, reason: &str) -> Failure {
        Failure::throttled(self.retry_after, reason)
    }

    /// Returns the body as JSON; null if it is not JSON.
    pub(crate) fn json(&self) -> Value {
        self.body.as_ref().ok().and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
    }

    /// Returns the reason that the server gives, otherwise the beginning of its text.
    pub(crate) fn words(&self) -> String {
        let text = match &self.body {
            Ok(text) => text,
            Err(problem) => return problem.clone(),
        };
        let said = self.json();
        let mut named = WORDS.iter().filter_map(|&field| said.pointer(field)?.as_str());
        let words = named.find(|words| !words.trim().is_empty()).unwrap_or(text).trim();
        if words.is_empty() {
            return "without a word".to_owned();
        }
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        let mut short: String = words.chars().take(MAX_WORDS).map(clean).collect();
        if words.chars().nth(MAX_WORDS).is_some() {
            short.push('…');
        }
        short
    }
}

/// Parses seconds or a date; a date in the past means immediately. See
/// [Retry-After](https://www.rfc-editor.org/rfc/rfc9110#field.retry-after).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(secs) = text.parse() {
        return Some(Duration::from_secs(secs));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
