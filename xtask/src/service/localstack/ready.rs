//! Checks that LocalStack works: creates a queue and deletes it again.

use anyhow::Result;

use crate::service::aws;

const PROBE_QUEUE: &str = "drumline-readiness";

pub(super) fn probe(endpoint: &str) -> Result<()> {
    call(endpoint, "CreateQueue", &format!(r#"{{"QueueName":"{PROBE_QUEUE}"}}"#))?;
    // The account is LocalStack's default one.
    let url = format!("{endpoint}/000000000000/{PROBE_QUEUE}");
    call(endpoint, "DeleteQueue", &format!(r#"{{"QueueUrl":"{url}"}}"#))
}

fn call(endpoint: &str, action: &str, body: &str) -> Result<()> {
    aws::call(endpoint, "sqs", &format!("AmazonSQS.{action}"), body)
}
