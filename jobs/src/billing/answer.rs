//! What a payment provider's answer means for the charge.

use std::time::{Duration, SystemTime};

use drumline::Failure;
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::Value;

use crate::settings::{BILLING_TOKEN, BILLING_URL};

/// Of the provider's words this much becomes part of a reason, in characters.
const MAX_WORDS: usize = 300;

/// The longest id that a provider may give a charge, in bytes: so that it fits into a result, however it is kept.
const MAX_ID_BYTES: usize = 255;

/// Where the provider names its reason: its own fields first, then those of
/// [problem details](https://www.rfc-editor.org/rfc/rfc9457).
const WORDS: [&str; 6] = ["/reason", "/message", "/error/message", "/error", "/detail", "/title"];

/// Said whenever it is not known whether the customer was charged.
pub(super) const AMBIGUOUS: &str = "the provider may have charged: the same Idempotency-Key is used again";

/// An answer as it came.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    /// The body as text, or why there is none.
    pub(super) body: Result<String, String>,
}

/// What a charge leaves: how the provider calls it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Receipt {
    provider_id: String,
}

/// Decides by the status; a 2xx by what it says.
///
/// Rejected is only what the job itself is to blame for. That our settings are wrong (401, 403, 404, a redirect) is no
/// charge's fault, and mended without sending it again.
pub(super) fn verdict(answer: &Answer) -> Result<Receipt, Failure> {
    let status = answer.status;
    let told = || format!("{status}: {}", answer.words());
    match status.as_u16() {
        200..=299 => answer.accepted(),
        402 => Err(declined(&answer.words())),
        400 | 410 | 413 | 415 | 422 => {
            Err(Failure::reject(format_args!("the provider refuses the charge: {}", told())))
        }
        401 | 403 | 407 => Err(answer.again(&format!("{}; is {BILLING_TOKEN} right?", told()))),
        300..=399 | 404 | 405 => Err(answer.again(&format!("{}; is {BILLING_URL} right?", told()))),
        409 => {
            Err(answer
                .again(&format!("the provider is at work on an earlier try of this charge: {}", told())))
        }
        500..=599 => Err(answer.again(&format!("{}; {AMBIGUOUS}", told()))),
        _ => Err(answer.again(&told())),
    }
}

impl Answer {
    fn accepted(&self) -> Result<Receipt, Failure> {
        let said = match &self.body {
            Ok(text) => serde_json::from_str(text).unwrap_or(Value::Null),
            Err(problem) => {
                return Err(Failure::retry(format_args!("{}: {problem}; {AMBIGUOUS}", self.status)));
            }
        };
        match (said["status"].as_str(), said["id"].as_str()) {
            (Some("succeeded"), Some(id)) if !id.is_empty() && id.len() <= MAX_ID_BYTES => {
                Ok(Receipt { provider_id: id.to_owned() })
            }
            (Some("declined"), _) => Err(declined(&self.words())),
            _ => Err(self.again(&format!(
                "{} tells neither an id with \"succeeded\" nor \"declined\": {}; {AMBIGUOUS}",
                self.status,
                self.words()
            ))),
        }
    }

    fn again(&self, reason: &str) -> Failure {
        match self.retry_after {
            Some(delay) => Failure::retry_after(delay, reason),
            None => Failure::retry(reason),
        }
    }

    /// The reason as the provider words it, else the beginning of whatever it says.
    fn words(&self) -> String {
        let text = match &self.body {
            Ok(text) => text,
            Err(problem) => return problem.clone(),
        };
        let said: Value = serde_json::from_str(text).unwrap_or(Value::Null);
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

fn declined(words: &str) -> Failure {
    Failure::reject(format_args!("the provider declines the charge: {words}"))
}

/// Seconds, or a date; a date that has passed means at once. See
/// [Retry-After](https://www.rfc-editor.org/rfc/rfc9110#field.retry-after).
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
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
