//! The record of a replay among the recorded actions.

use std::path::Path;

use drumline_consumer::ExitError;
use drumline_dlq::action::{ActionKind, ActionState, Beginning};
use drumline_dlq::journal::Header;

use super::counts::counts;
use super::run::{End, Outcome};
use crate::dlq::action_log::ActionLog;
use crate::dlq::operator::host;
use crate::dlq::queue::DeadLetterQueue;

/// Returns the facts of a replay with these bounding flags.
pub(super) fn beginning(
    queue: &DeadLetterQueue,
    header: &Header,
    journal: &Path,
    bounds: Vec<String>,
) -> Result<Beginning, ExitError> {
    Ok(Beginning {
        kind: ActionKind::Replay,
        name: header.name.clone(),
        actor: header.actor.clone(),
        dlq: queue.arn.clone().unwrap_or_else(|| queue.url.clone()),
        words: header.words.clone(),
        bounds,
        host: host(),
        journal: Some(std::path::absolute(journal)?.display().to_string()),
        export: None,
    })
}

/// Records the end of a replay.
pub(super) async fn end(log: &ActionLog, result: &Result<Outcome<'_>, ExitError>) {
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(error) => return log.end(ActionState::Stopped, Some(&error.to_string())).await,
    };
    let tally = &outcome.decider.tally;
    log.report(counts(outcome.journal.log.state(), tally));
    let (state, why) = match &outcome.end {
        End::Done if tally.all_left() > 0 => (ActionState::Stopped, Some("letters that match are left")),
        End::Done if outcome.undeletable > 0 => (ActionState::Stopped, Some("sent letters are not deleted")),
        End::Done if outcome.returned > 0 => (ActionState::Stopped, Some("replayed letters are dead again")),
        End::Done => (ActionState::Done, None),
        End::Interrupted(_) => (ActionState::Interrupted, None),
        End::Stopped(why) => (ActionState::Stopped, Some(why.as_str())),
        End::Aborted(why) => (ActionState::Aborted, Some(why.as_str())),
    };
    log.end(state, why).await;
}
