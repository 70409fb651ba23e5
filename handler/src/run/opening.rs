//! Payloads that are not in their message.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::{Either, select};

use crate::api::run_environment::OpenError;
use crate::core::ending::Ending;
use crate::core::reason::{bounded, panic_message};
use crate::message::Message;
use crate::run::attempt::Attempt;

/// Replaces a message whose payload is stored elsewhere with the opened one.
pub(crate) async fn open(attempt: &mut Attempt) -> Result<(), Ending> {
    let Attempt { host, message, .. } = &*attempt;
    match catch_unwind(AssertUnwindSafe(|| host.open(message).at_once())) {
        Ok(Some(Ok(None))) => Ok(()),
        // Rare, and boxed because they are larger than all else of a run.
        Ok(Some(opened)) => Box::pin(use_opened(attempt, opened)).await,
        Ok(None) => Box::pin(open_elsewhere(attempt)).await,
        Err(panic) => Err(panicked(panic.as_ref())),
    }
}

/// Opens a payload that takes time.
async fn open_elsewhere(attempt: &mut Attempt) -> Result<(), Ending> {
    let Attempt { host, control, message, .. } = &*attempt;
    // The call itself is inside, because it may panic before it returns its future.
    let opening = AssertUnwindSafe(async { host.open(message).await }).catch_unwind();
    let opened = match select(pin!(opening), pin!(control.until_cancelled())).await {
        Either::Left((Ok(opened), _)) => opened,
        Either::Left((Err(panic), _)) => return Err(panicked(panic.as_ref())),
        Either::Right(_) => Err(OpenError::Retry("the payload did not come in time".to_owned())),
    };
    use_opened(attempt, opened).await
}

/// Replaces the message with the opened one, if it has one.
async fn use_opened(attempt: &mut Attempt, opened: Result<Option<Message>, OpenError>) -> Result<(), Ending> {
    match opened {
        Ok(None) => {}
        Ok(Some(opened)) => {
            let opened_at = attempt.host.opened(attempt.delivery).await;
            if let Some(at) = opened_at {
                restart(attempt, at);
            }
            if attempt.control.cancelled().is_some() {
                // The handler would be stopped immediately after its start.
                let reason = "the payload came too late".to_owned();
                return Err(Ending::PayloadUnavailable { reason });
            }
            attempt.message = Arc::new(opened);
        }
        Err(OpenError::Permanent(reason)) => return Err(Ending::InvalidPayload { reason: bounded(reason) }),
        Err(OpenError::Retry(reason)) => return Err(Ending::PayloadUnavailable { reason: bounded(reason) }),
    }
    Ok(())
}

/// Restarts the attempt's time at `at`, as the ledger does, so that the time for its payload does not reduce its handler's
/// time.
fn restart(attempt: &mut Attempt, at: Instant) {
    let waited = at.saturating_duration_since(attempt.started_at);
    let deadline = attempt.deadline.checked_add(waited).unwrap_or(attempt.latest_deadline);
    attempt.deadline = deadline.min(attempt.latest_deadline);
    attempt.started_at = at;
}

fn panicked(panic: &(dyn Any + Send)) -> Ending {
    Ending::Panicked { reason: bounded(panic_message(panic)) }
}
