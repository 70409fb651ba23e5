#![doc = include_str!("../README.md")]

mod billing;
#[cfg(feature = "mail")]
mod email;
#[cfg(feature = "images")]
mod image;
mod key;
mod lead;
mod location;
mod name;
mod report;
mod router;
pub mod samples;
mod schema;
mod settings;
mod storage;
mod web;
mod webhook;

use drumline::Router;

pub use router::router;
pub use settings::{
    BILLING_TIMEOUT, BILLING_TOKEN, BILLING_URL, CSV_FORMULAS, FILE_ROOT, IMAGE_MEMORY, InvalidSetting,
    LEAD_CRM_URL, LEAD_ENRICH_URL, LEAD_NOTIFY_URL, LEAD_TIMEOUT, MAIL_FROM, MAIL_OUTBOX, MAIL_TEMPLATES,
    MAX_PIXELS, MAX_SOURCE_BYTES, SAMPLE_JOBS, SMTP_URL, Settings, VARIABLES, WEBHOOK_ENDPOINTS,
    WEBHOOK_TIMEOUT,
};

/// Returns the router of this repository's binaries: the jobs above and the sample-only jobs, if [`SAMPLE_JOBS`] is `on`.
///
/// # Errors
///
/// Returns all problems with the settings of the jobs as text; or an error that there is nothing to run, so that an
/// application's messages are not treated as sample jobs.
pub fn router_if_enabled(lookup: impl Fn(&str) -> Option<String>) -> Result<Router, String> {
    let switch = lookup(SAMPLE_JOBS).unwrap_or_default();
    let switch = match switch.trim() {
        "on" => None,
        "" | "off" => return Err(NOTHING_TO_RUN.to_owned()),
        _ => Some(InvalidSetting { name: SAMPLE_JOBS, problem: "must be one of on, off".to_owned() }),
    };
    let problems = match (switch, Settings::from_lookup(lookup)) {
        (None, Ok(settings)) => return Ok(samples::router(&settings)),
        (switch, settings) => switch.into_iter().chain(settings.err().unwrap_or_default()),
    };
    Err(problems.map(|problem| problem.to_string()).collect::<Vec<_>>().join("\n  "))
}

/// The two ways to give this repository's binaries something to run.
const NOTHING_TO_RUN: &str = "nothing to run: set DRUMLINE_FORWARD_TO (--forward-to) to the http:// address of your application to \
     have it handle the messages, or DRUMLINE_SAMPLE_JOBS=on to run the sample jobs of this repository";

#[cfg(test)]
mod testing;

#[cfg(all(test, feature = "images", feature = "mail"))]
mod deep_tests {
    use drumline::core::Ending;

    use super::*;

    /// A nesting of more than 128 levels is refused before it overflows the stack.
    #[tokio::test]
    async fn a_payload_that_is_nested_too_deep_is_undecodable() {
        let folder = tempfile::tempdir().expect("a folder");
        let tester = testing::tester(router(&Settings::for_folder(folder.path())));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for job_type in
            ["billing.charge", "email.send", "image.process", "report.generate", "webhook.deliver"]
        {
            let in_field =
                format!(r#"{{"source":{deep},"chargeId":{deep},"deliveryId":{deep},"eventId":{deep}}}"#);
            for payload in [&deep, &in_field] {
                let body = format!(r#"{{"type":"{job_type}","payload":{payload}}}"#);
                let run = tester.body(body).await;
                assert!(matches!(run.ending(), Ending::InvalidPayload { .. }), "{job_type}: {run}");
            }
        }
    }
}
