//! `drumline dlq actions show`: prints all details of one action.

use std::io::{self, Write};
use std::process::ExitCode;

use drumline_consumer::ExitError;
use drumline_dlq::action::ActionRecord;
use drumline_runtime::{Environment, program};

use super::recorded::{StoreArgs, open, unknown, unread};
use super::text;
use crate::format::{now_ms, one_line, shell, when};
use crate::output::{Output, print};

/// Shows all details of one action, and how to abort, resume or undo it
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  {program} dlq actions show INC-42
  {program} dlq actions show INC-42 --output json | jq .counts

Exit status: 0 shown, 1 the action is unknown, 64 bad usage, 69 the store cannot be reached.")]
pub(super) struct ShowArgs {
    /// The action's name
    name: String,
    #[command(flatten)]
    store: StoreArgs,
    /// Text for people, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(super) async fn show(args: &ShowArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let ShowArgs { name, store, output } = args;
    let store = open(store, environment).await?;
    let found = store.action(name).await.map_err(|error| unread(&store, &error))?;
    let found = found.ok_or_else(|| unknown(&store, name))?;
    let now = now_ms();
    let action = text::shown(found.value, now);
    match output {
        Output::Json => print(|out| out.json_line(&action))?,
        Output::Table => print(|out| write_action(out, &action, now))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn write_action(out: &mut impl Write, action: &ActionRecord, now: u64) -> io::Result<()> {
    let mut line = |label: &str, text: &str| writeln!(out, "{label:<9} {}", one_line(text));
    line("name", &action.name)?;
    line("kind", &text::kind(action))?;
    let why = action.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    line("state", &format!("{}{why}", action.state))?;
    if let Some(abort) = &action.abort {
        line("", &format!("{} asked for its end, {}", abort.by, when(abort.at, now)))?;
    }
    line("actor", &action.actor)?;
    line("dlq", &action.dlq)?;
    if !action.words.is_empty() {
        let more = if action.words_cut { " (and more, which the record has no room for)" } else { "" };
        line("flags", &format!("{}{more}", text::words(action)))?;
    }
    if !action.bounds.is_empty() {
        line("bounds", &shell(&action.bounds))?;
    }
    let counts = text::counts(&action.counts);
    line("letters", if counts.is_empty() { "none" } else { &counts })?;
    line("started", &when(action.started_at, now))?;
    match action.ended_at {
        Some(ended) => line("ended", &when(ended, now))?,
        None => line("reported", &when(action.reported_at, now))?,
    }
    for (label, text) in [("host", &action.host), ("journal", &action.journal), ("export", &action.export)] {
        if let Some(text) = text {
            line(label, text)?;
        }
    }
    if let Some(until) = action.undo_until.filter(|until| *until > now) {
        line("undo", &format!("until {}", when(until, now)))?;
    }
    if let Some((label, command)) = text::next_step(action, now) {
        line(label, &format!("{} {command}", program()))?;
    }
    Ok(())
}
