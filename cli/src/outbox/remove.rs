//! `drumline outbox remove`: removes jobs that should never be sent.

use std::fmt::Write as _;
use std::process::ExitCode;

use drumline_consumer::ExitError;
use drumline_runtime::Environment;
use drumline_store::outbox::{OutboxRow, RowState, Rows};

use super::row_view::{label, millis_of};
use crate::format::{brief, count, note, now_ms, one_line, shortest};
use crate::opened_outbox::{OpenedOutbox, OutboxSettings, WHICH_OUTBOX};
use crate::question::{confirm, may_ask, show};
use crate::settings_args::SettingsArgs;

/// The largest number of jobs that the question lists.
const NAMED: usize = 20;

/// The longest reason in a line of the question.
const REASON: usize = 60;

/// Removes jobs that wait or are parked, so that they are never sent
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} outbox remove 01JQ3ZC5T8M1Y4
  {{program}} outbox remove 01JQ3ZC5T8M1Y4 01JQ3ZC5T8M1Y5 --yes
  {{program}} outbox show 01JQ3ZC5T8M1Y4 --output json > kept.json

The command lists the jobs, asks for confirmation, and removes them. A removal cannot be undone: you can only add the jobs again. If a \
relay is sending one of the jobs at that moment, the job may be sent anyway.

{WHICH_OUTBOX}

Exit status: 0 removed, 1 some of the jobs are no longer in the outbox, or you declined, 64 bad usage, 69 the outbox cannot be used."))]
pub(super) struct RemoveArgs {
    /// The ids of the jobs
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    settings: SettingsArgs<OutboxSettings>,
}

pub(super) async fn remove(args: &RemoveArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    if !args.yes && !may_ask() {
        return Err(ExitError::usage("without a terminal to ask on, --yes is needed"));
    }
    let settings = args.settings.read_for_tool(environment)?;
    let opened = OpenedOutbox::of(&settings).await?;
    let rows = opened.outbox.rows(&Rows::of(args.ids.clone())).await.map_err(|error| opened.error(&error))?;
    let rows: Vec<OutboxRow> = rows.into_iter().filter(|row| row.state != RowState::Sent).collect();
    let is_there = |id: &&String| rows.iter().any(|row| row.job.id == **id);
    let missing: Vec<&String> = args.ids.iter().filter(|id| !is_there(id)).collect();
    for id in &missing {
        note(&format!("no job {} waits or is parked", one_line(id)));
    }
    if rows.is_empty() {
        return Err(ExitError::other("nothing was removed"));
    }
    show(&lines(&rows, now_ms()));
    if !args.yes && !confirm(&format!("Remove {} from {}?", count(rows.len(), "job"), opened.url)).await? {
        return Err(ExitError::other("nothing was removed"));
    }
    let ids: Vec<String> = rows.into_iter().map(|row| row.job.id).collect();
    let removed = opened.outbox.remove(&ids).await.map_err(|error| opened.error(&error))?;
    note(&format!("{} removed", count(removed, "job")));
    if removed < ids.len() {
        note(&format!("{} sent meanwhile", count(ids.len() - removed, "job")));
    }
    Ok(if missing.is_empty() && removed == ids.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns a line for each of these jobs, at most [`NAMED`].
fn lines(rows: &[OutboxRow], now: u64) -> String {
    let mut text = String::new();
    for row in rows.iter().take(NAMED) {
        let age = shortest(now.saturating_sub(millis_of(row.added_ms)));
        let reason = row.reason.as_deref().map(|reason| format!(": {}", brief(reason, REASON)));
        let (id, job_type) = (one_line(&row.job.id), one_line(&row.job.job_type));
        let (state, reason) = (label(row.state), reason.unwrap_or_default());
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{id}  {job_type}, added {age} ago, {state}{reason}");
    }
    if rows.len() > NAMED {
        let _ = writeln!(text, "and {} more", rows.len() - NAMED);
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use drumline_store::outbox::OutboxJob;

    use super::*;

    #[test]
    fn the_question_names_the_jobs_and_why_they_are_parked() {
        let row = |id: String| OutboxRow::waiting(OutboxJob::new(id, "email.send", "{}"), 0, 0);
        let mut rows: Vec<OutboxRow> = (0..22).map(|n| row(format!("j-{n}"))).collect();
        (rows[0].state, rows[0].reason) = (RowState::Parked, Some("no queue".to_owned()));
        let text = lines(&rows, 65_000);
        assert!(
            text.starts_with("j-0  email.send, added 1m ago, parked: no queue\nj-1  email.send"),
            "{text}"
        );
        assert!(text.ends_with("j-19  email.send, added 1m ago, waiting\nand 2 more"), "{text}");
    }
}
