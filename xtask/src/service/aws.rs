//! Single calls to AWS emulators, for readiness probes.

use std::time::Duration;

use anyhow::{Context, Result, bail};

/// The region of all tests.
pub(super) const REGION: &str = "eu-central-1";
/// The time limit of a call: the first one loads the service.
const CALL_LIMIT: Duration = Duration::from_secs(20);

/// Makes one call in a service's JSON protocol. The emulator does not check the signature, only the service and region that it
/// names.
pub(super) fn call(endpoint: &str, service: &str, target: &str, body: &str) -> Result<()> {
    let agent = ureq::Agent::config_builder()
        .proxy(None)
        .timeout_global(Some(CALL_LIMIT))
        .http_status_as_error(false)
        .build()
        .new_agent();
    let scope = format!("20260101/{REGION}/{service}/aws4_request");
    let mut response = agent
        .post(endpoint)
        .header("Content-Type", "application/x-amz-json-1.0")
        .header("X-Amz-Target", target)
        .header(
            "Authorization",
            format!("AWS4-HMAC-SHA256 Credential=test/{scope}, SignedHeaders=host, Signature=none"),
        )
        .send(body)
        .with_context(|| format!("{target} got no answer"))?;
    if !response.status().is_success() {
        bail!("{target} was answered {}: {}", response.status(), response.body_mut().read_to_string()?);
    }
    Ok(())
}
