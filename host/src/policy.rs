//! From settings, and what SQS says of a queue, to the numbers that its ledger decides by.

use std::time::Duration;

use drumline::core::{DeadLetterPath, MAX_VISIBILITY, Policy, Polling};

use crate::aws::{QueueFacts, is_fifo};
use crate::claims::StoreOutage;
use crate::retries::{retries_by_type, retry_limits};
use crate::settings::{PermanentFailures, QueueSettings};

/// The policy of the queue called `name`, whose claims are in a store with this policy for its outages.
///
/// Without `facts`, leases are taken to outlast everything unless the settings say how long they are, and the queue to
/// have a DLQ: a host that has not asked finds out later, with [`Ledger::set_lease`](drumline::core::Ledger::set_lease). The waits of
/// `auto` are fitted to what is known.
pub fn policy(
    name: &str,
    settings: &QueueSettings,
    outage: StoreOutage,
    facts: Option<&QueueFacts>,
) -> Policy {
    let dead_letter = match (facts, settings.permanent_failures) {
        (Some(facts), _) if facts.is_unbounded() => DeadLetterPath::Nowhere,
        (_, PermanentFailures::Redrive) => DeadLetterPath::Redrive,
        (_, PermanentFailures::DeadLetter) => DeadLetterPath::Copy,
    };
    let limits = retry_limits(settings, facts);
    let lease = settings.visibility_timeout.or(facts.map(|facts| facts.visibility_timeout));
    Policy {
        fifo: is_fifo(name),
        concurrency: settings.concurrency,
        handler_timeout: settings.handler_timeout,
        handler_timeout_by_type: settings.handler_timeout_by_type.clone(),
        retry: settings.retry.clone().fitted(&limits),
        retry_by_type: retries_by_type(settings, &limits),
        max_attempts: settings.max_attempts,
        max_attempts_by_type: settings.max_attempts_by_type.clone(),
        receives: limits.receives,
        claims: outage.claims(),
        unknown_type: settings.unknown_type,
        dead_letter,
        polling: Some(Polling { wait_time: settings.wait_time }),
        // A queue whose own timeout is 0 hides nothing; a lease has to be asked for all the same.
        ..Policy::new(lease.unwrap_or(MAX_VISIBILITY).max(Duration::from_secs(1)))
    }
}
