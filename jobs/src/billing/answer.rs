//! Interprets a payment provider's response to a charge.

use drumline::Failure;
use serde::Serialize;

use crate::settings::{BILLING_TOKEN, BILLING_URL};
use crate::web::Answer;

/// The longest id that a provider may give a charge, in bytes: it fits into a result in every store.
const MAX_ID_BYTES: usize = 255;

/// The text for cases in which it is unknown if the customer was charged.
pub(super) const AMBIGUOUS: &str = "the provider may have charged: the same Idempotency-Key is used again";

/// The result of a charge: the provider's id for it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Receipt {
    provider_id: String,
}

/// Decides by the status; for a 2xx by the body.
///
/// Only failures that the job itself has caused are permanent. Wrong settings (401, 403, 404, a redirect) are not the charge's
/// fault, and can be fixed without sending it again.
pub(super) fn verdict(answer: &Answer) -> Result<Receipt, Failure> {
    let status = answer.status;
    let text = || format!("{status}: {}", answer.words());
    match status.as_u16() {
        200..=299 => accepted(answer),
        402 => Err(declined(&answer.words())),
        400 | 410 | 413 | 415 | 422 => {
            Err(Failure::reject(format_args!("the provider refuses the charge: {}", text())))
        }
        401 | 403 | 407 => Err(answer.again(&format!("{}; is {BILLING_TOKEN} right?", text()))),
        300..=399 | 404 | 405 => Err(answer.again(&format!("{}; is {BILLING_URL} right?", text()))),
        409 => {
            Err(answer
                .again(&format!("the provider is at work on an earlier try of this charge: {}", text())))
        }
        500..=599 => Err(answer.again(&format!("{}; {AMBIGUOUS}", text()))),
        429 => Err(answer.throttled(&text())),
        _ => Err(answer.again(&text())),
    }
}

fn accepted(answer: &Answer) -> Result<Receipt, Failure> {
    if let Err(problem) = &answer.body {
        return Err(Failure::retry(format_args!("{}: {problem}; {AMBIGUOUS}", answer.status)));
    }
    let said = answer.json();
    match (said["status"].as_str(), said["id"].as_str()) {
        (Some("succeeded"), Some(id)) if !id.is_empty() && id.len() <= MAX_ID_BYTES => {
            Ok(Receipt { provider_id: id.to_owned() })
        }
        (Some("declined"), _) => Err(declined(&answer.words())),
        _ => Err(answer.again(&format!(
            "{} names neither an id with \"succeeded\" nor \"declined\": {}; {AMBIGUOUS}",
            answer.status,
            answer.words()
        ))),
    }
}

fn declined(words: &str) -> Failure {
    Failure::reject(format_args!("the provider declines the charge: {words}"))
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
