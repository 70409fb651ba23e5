//! `drumline dlq actions ls`: prints a line for each action.

use std::process::ExitCode;

use drumline_consumer::ExitError;
use drumline_runtime::Environment;

use super::recorded::{StoreArgs, open, unread};
use super::text;
use crate::format::{note, now_ms, rfc3339, shortest};
use crate::list::{Column, FORMS, List};
use crate::output::Output;

/// Lists the actions, the one with the latest report first
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} dlq actions ls --output json | jq -r 'select(.state == \"running\") | .name'

{FORMS}

Exit status: 0 listed, even if there is none, 64 bad usage, 69 the store cannot be reached."))]
pub(super) struct LsArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// Show all columns without truncation
    #[arg(long)]
    wide: bool,
    /// Text for people, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// The columns on a terminal.
static COLUMNS: [Column; 6] = [
    Column::whole("NAME"),
    Column::whole("KIND"),
    Column::whole("STATE"),
    Column::whole("AGE"),
    Column::cut("DLQ", 20),
    Column::cut("LETTERS", usize::MAX),
];

/// The columns of `--wide` and of output for other programs.
const WIDE: [&str; 9] = ["NAME", "KIND", "STATE", "STARTED", "ENDED", "DLQ", "ACTOR", "LETTERS", "FLAGS"];

pub(super) async fn ls(args: &LsArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let LsArgs { store, wide, output } = args;
    let store = open(store, environment).await?;
    let actions = store.actions().await.map_err(|error| unread(&store, &error))?;
    let mut list = List::new(*output, *wide, &COLUMNS, WIDE);
    let now = now_ms();
    for action in actions {
        let action = text::shown(action, now);
        let (name, kind, state) =
            (|| action.name.clone(), || text::kind(&action), || action.state.to_string());
        let (dlq, letters) = (|| text::dlq(&action).to_owned(), || text::counts(&action.counts));
        let narrow =
            || [name(), kind(), state(), shortest(now.saturating_sub(action.started_at)), dlq(), letters()];
        let wide = || {
            let ended = action.ended_at.map(rfc3339).unwrap_or_default();
            let (started, actor, flags) =
                (rfc3339(action.started_at), action.actor.clone(), text::words(&action));
            [name(), kind(), state(), started, ended, dlq(), actor, letters(), flags]
        };
        list.add(narrow, wide, &action)?;
    }
    if list.count() == 0 {
        note(&format!("{} has no actions", store.name()));
    }
    list.end()?;
    Ok(ExitCode::SUCCESS)
}
