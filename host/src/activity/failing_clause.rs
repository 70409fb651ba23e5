//! The reasons why the receives from a queue fail.

use std::time::{Duration, Instant};

use drumline::core::SqsErrorKind;

use crate::status::ReceiveProblem;
use crate::waiting_for::words;

/// Returns the problem of the receives.
pub(super) fn failing(queue: &str, problem: &ReceiveProblem, now: Instant) -> String {
    let what = match problem.kind {
        SqsErrorKind::NoQueue => format!("{queue} does not exist any more"),
        SqsErrorKind::WrongRegion => format!("{queue} is in another region than its URL says"),
        SqsErrorKind::Denied => format!("the worker has no permission to receive from {queue}"),
        SqsErrorKind::InvalidCredentials => {
            format!("AWS does not accept the worker's credentials for {queue}")
        }
        SqsErrorKind::ExpiredCredentials => format!("the worker's credentials for {queue} have expired"),
        SqsErrorKind::NoCredentials => format!("the worker has no credentials for {queue}"),
        SqsErrorKind::CredentialsUnavailable => {
            format!("the provider of the worker's credentials for {queue} does not answer")
        }
        SqsErrorKind::ClockSkew => {
            format!("this machine's clock differs too much from AWS's to receive from {queue}")
        }
        SqsErrorKind::Throttled => format!("SQS throttles the receives from {queue}"),
        SqsErrorKind::Unreachable => format!("SQS is out of reach for {queue}"),
        SqsErrorKind::OutOfResources => {
            format!("the process lacks memory or file descriptors to receive from {queue}")
        }
        _ => format!("SQS refuses the receives from {queue}"),
    };
    let lasted = now.saturating_duration_since(problem.since);
    // Whole seconds, so that the text is short.
    let lasted = match lasted.as_secs() {
        0 => String::new(),
        secs => format!(", for {}", words(Duration::from_secs(secs))),
    };
    let quote = if problem.text.is_empty() { String::new() } else { format!(" ({})", problem.text) };
    format!("{what}{lasted}{quote}")
}
