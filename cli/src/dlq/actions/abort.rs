//! `drumline dlq actions abort`: asks a running action to end, and waits until it has ended.

use std::process::ExitCode;
use std::time::Duration;

use drumline_consumer::ExitError;
use drumline_dlq::action::{ActionRecord, ActionState};
use drumline_runtime::{Environment, program};
use tokio::time::Instant;

use super::recorded::{StoreArgs, open, unknown, unread};
use super::text;
use crate::dlq::action_store::ActionStore;
use crate::dlq::operator::default_actor;
use crate::format::{note, now_ms};

/// The time to wait for the end. The process notices the request within a few seconds, and then releases what it holds.
const PATIENCE: Duration = Duration::from_secs(30);

/// The time between two checks.
const EVERY: Duration = Duration::from_millis(500);

/// The number of attempts to change the record, which other processes change, too.
const TRIES: u32 = 5;

/// Ends a running action: completed work stays, and held letters are released
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  {program} dlq actions abort INC-42

The process that runs the action reads the order within five seconds, finishes its current batch, and ends with status 1. The command \
undoes nothing that the action has sent, deleted or exported. You can resume a replay later. If the process no longer exists, the command \
marks the action as aborted.

Exit status: 0 the action has ended, 1 it is unknown, had already ended, or did not end within 30 s, 64 bad usage, 69 the store cannot be \
reached.")]
pub(super) struct AbortArgs {
    /// The action's name
    name: String,
    /// The person or program that aborts [default: USER@HOST]
    #[arg(long, value_name = "TEXT")]
    actor: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

pub(super) async fn abort(args: &AbortArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let AbortArgs { name, actor, store } = args;
    let store = open(store, environment).await?;
    let actor = actor.clone().unwrap_or_else(default_actor);
    let was_alive = ask(&store, name, &actor).await?;
    let begun = Instant::now();
    loop {
        let found = store.action(name).await.map_err(|error| unread(&store, &error))?;
        let action = text::shown(found.ok_or_else(|| unknown(&store, name))?.value, now_ms());
        if action.state != ActionState::Running {
            let ActionRecord { kind, state, .. } = action;
            let counts = text::counts(&action.counts);
            note(&format!(
                "the {kind} {name} is {state}{}{counts}",
                if counts.is_empty() { "" } else { ": " }
            ));
            if action.is_native() && !was_alive {
                let cancel = text::cancel(&action);
                note(&format!("SQS may still move letters; to stop that: {} {cancel}", program()));
            }
            return Ok(ExitCode::SUCCESS);
        }
        if begun.elapsed() > PATIENCE {
            return Err(ExitError::other(format!(
                "{name} was asked to end, and has not ended within {} s: look at `dlq actions show {name}` later",
                PATIENCE.as_secs()
            )));
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Asks an action to end. Returns true if a process runs it.
async fn ask(store: &ActionStore, name: &str, actor: &str) -> Result<bool, ExitError> {
    for _ in 0..TRIES {
        let before = store.action(name).await.map_err(|error| unread(store, &error))?;
        let before = before.ok_or_else(|| unknown(store, name))?;
        let asked =
            before.value.abort_asked(actor, now_ms()).map_err(|error| ExitError::other(error.to_string()))?;
        if store.put_action(Some(&before), &asked).await.map_err(|error| unread(store, &error))? {
            return Ok(before.value.is_alive(now_ms()));
        }
    }
    Err(ExitError::unavailable(format!("{name} changes all the time in {}", store.name())))
}
