//! Whether LocalStack really works: it creates a queue and deletes it again.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::Process;

/// A cold start takes 1 to 3 s; a loaded two-core machine or a container may need many times that.
const START_LIMIT: Duration = Duration::from_secs(90);
/// Pause between two attempts; short, because it is time the tests wait for.
const PAUSE: Duration = Duration::from_millis(100);
/// One call at most: the first one loads the service.
const CALL_LIMIT: Duration = Duration::from_secs(20);

const PROBE_QUEUE: &str = "drumline-readiness";

/// Returns when a queue could be created; an error when the process ends or the time is over.
pub(crate) fn wait(process: &mut Process, port: u16) -> Result<()> {
    let endpoint = super::endpoint(port);
    let started = Instant::now();
    loop {
        if let Some(status) = process.ended_within(PAUSE)? {
            bail!("it ended with {status}");
        }
        match probe(&endpoint) {
            Ok(()) => return Ok(()),
            Err(error) if started.elapsed() > START_LIMIT => {
                return Err(error).with_context(|| format!("not ready after {} s", START_LIMIT.as_secs()));
            }
            Err(_) => {} // Not listening yet, or still loading: the next attempt tells.
        }
    }
}

fn probe(endpoint: &str) -> Result<()> {
    call(endpoint, "CreateQueue", &format!(r#"{{"QueueName":"{PROBE_QUEUE}"}}"#))?;
    // The account is LocalStack's default one.
    let url = format!("{endpoint}/000000000000/{PROBE_QUEUE}");
    call(endpoint, "DeleteQueue", &format!(r#"{{"QueueUrl":"{url}"}}"#))
}

/// One call of SQS's JSON protocol. The signature is not looked at, only the service and region it names.
fn call(endpoint: &str, action: &str, body: &str) -> Result<()> {
    let agent = ureq::Agent::config_builder()
        .proxy(None)
        .timeout_global(Some(CALL_LIMIT))
        .http_status_as_error(false)
        .build()
        .new_agent();
    let scope = format!("20260101/{}/sqs/aws4_request", super::REGION);
    let mut response = agent
        .post(endpoint)
        .header("Content-Type", "application/x-amz-json-1.0")
        .header("X-Amz-Target", format!("AmazonSQS.{action}"))
        .header(
            "Authorization",
            format!("AWS4-HMAC-SHA256 Credential=test/{scope}, SignedHeaders=host, Signature=none"),
        )
        .send(body)
        .with_context(|| format!("{action} got no answer"))?;
    if !response.status().is_success() {
        bail!("{action} was answered {}: {}", response.status(), response.body_mut().read_to_string()?);
    }
    Ok(())
}
