//! Checks of a queue at the start. A failed check is an error or a warning.

use std::time::Duration;

use drumline::core::{DeadLetterPath, LimitRules, Policy};
use drumline_runtime::aws::{AwsQueue, QueueFacts};
use drumline_runtime::{Diagnostic, QueueSettings, diagnose, diagnose_rates};
use tracing::warn;

use crate::queue_start::with_retry;
use crate::start_error::StartError;
use crate::start_wait::StartWait;

/// Checks that permanently failed messages can leave the queue.
pub(crate) async fn check_dead_letter_queue(
    name: &str,
    settings: &QueueSettings,
    policy: &Policy,
    facts: &QueueFacts,
    queue: &AwsQueue,
    start: &StartWait,
) -> Result<(), StartError> {
    match policy.dead_letter {
        DeadLetterPath::Redrive if !facts.redrive_is_known => warn!(
            queue = name,
            "the queue's redrive policy is not known: give the worker sqs:GetQueueAttributes, and check that the queue \
             has a DLQ"
        ),
        DeadLetterPath::Redrive => {}
        // Checked now, because at the first copy it would be too late.
        DeadLetterPath::Copy => {
            start.begins(format!("the DLQ of the queue {name}"), None);
            let found = with_retry(start, name, "DLQ", || queue.dead_letter_url()).await;
            found.map_err(|error| StartError::DeadLetterQueue { queue: name.to_owned(), error })?;
        }
        DeadLetterPath::Nowhere => {
            // Otherwise no rule would end its retries, and its failures would leave no trace.
            if !settings.allow_unbounded {
                return Err(StartError::Settings(no_dead_letter_queue(name)));
            }
            warn!(
                queue = name,
                "the queue has no DLQ: permanently failed messages stay in it until they expire"
            );
        }
    }
    Ok(())
}

/// Logs the settings that do not fit the queue or the process.
pub(crate) fn warn_of_settings(
    name: &str,
    settings: &QueueSettings,
    facts: &QueueFacts,
    limits: &LimitRules,
    grace: Duration,
) {
    if settings.wait_time > grace {
        warn!(
            queue = name,
            "the wait time is longer than the shutdown grace: a receive that is open at a shutdown may bring \
             messages too late, and they stay hidden until their visibility ends"
        );
    }
    for Diagnostic { id, problem, reason, fix } in
        diagnose(settings, facts).into_iter().chain(diagnose_rates(limits, facts))
    {
        warn!(queue = name, rule = id, reason, mend = fix, "{problem}");
    }
}

/// Returns the reason why a queue without a DLQ is not consumed.
fn no_dead_letter_queue(name: &str) -> String {
    format!(
        "{name}: the queue has no DLQ, so a job that always fails would be retried until its message expires: give the \
         queue a redrive policy, or set DRUMLINE_ALLOW_UNBOUNDED=true (allow_unbounded = true in the file, \
         --allow-unbounded) to have failures stay in the queue until its retention ends"
    )
}
