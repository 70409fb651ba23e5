//! `drumline outbox ls`: prints a line for each job.

use std::process::ExitCode;

use clap::value_parser;
use drumline_consumer::ExitError;
use drumline_runtime::Environment;
use drumline_store::outbox::{OutboxRow, RowState, Rows};

use super::row_view::{RowView, StateArg, label, millis_of};
use crate::format::{note, now_ms, rfc3339, shortest};
use crate::list::{Column, FORMS, List};
use crate::opened_outbox::{OpenedOutbox, OutboxSettings, WHICH_OUTBOX};
use crate::output::Output;
use crate::settings_args::SettingsArgs;

/// Lists the jobs that wait to be sent, cannot be sent, or were sent
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} outbox ls
  {{program}} outbox ls --state parked --wide
  {{program}} outbox ls --state parked --output json | jq -r .reason | sort | uniq -c
  {{program}} outbox ls --limit 10000 | cut -f1,2

{FORMS}

States: waiting (the job is not due yet, waits for a relay, or is being sent), parked (the job cannot be sent: see `outbox retry` and \
`outbox remove`), sent (the relay keeps sent jobs for DRUMLINE_OUTBOX_KEEP; by default it removes them at once). DUE is the time until a \
relay may send the job. The list begins with the job that was added first. To see the payload of a job, use `outbox show`.

{WHICH_OUTBOX}

Exit status: 0 listed, even if no job matches, 64 bad usage, 69 the outbox cannot be used."))]
pub(super) struct LsArgs {
    /// Only jobs in this state
    #[arg(long, value_enum)]
    state: Option<StateArg>,
    /// At most this many jobs
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=10_000), default_value = "20")]
    limit: u16,
    /// Show all columns without truncation
    #[arg(long)]
    wide: bool,
    /// Text for people, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    settings: SettingsArgs<OutboxSettings>,
}

/// The columns on a terminal.
static COLUMNS: [Column; 6] = [
    Column::whole("JOB"),
    Column::whole("STATE"),
    Column::cut("TYPE", 16),
    Column::whole("AGE"),
    Column::whole("DUE"),
    Column::cut("REASON", usize::MAX),
];

/// The columns of `--wide` and of output for other programs.
const WIDE: [&str; 11] =
    ["JOB", "STATE", "TYPE", "ADDED", "DUE", "FAILURES", "REASON", "QUEUE", "GROUP", "SENT", "MESSAGE"];

pub(super) async fn ls(args: &LsArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let settings = args.settings.read_for_tool(environment)?;
    let opened = OpenedOutbox::of(&settings).await?;
    let query = Rows::new(args.state.map(RowState::from), args.limit.into());
    let rows = opened.outbox.rows(&query).await.map_err(|error| opened.error(&error))?;
    let (now, mut list) = (now_ms(), List::new(args.output, args.wide, &COLUMNS, WIDE));
    for row in &rows {
        list.add(|| narrow(row, now), || wide(row), RowView::from(row))?;
    }
    list.end()?;
    if rows.is_empty() {
        note(&format!("the outbox {} has no such job", opened.url));
    } else if rows.len() == usize::from(args.limit) {
        note(&format!("there may be more than these {}: --limit takes another number", rows.len()));
    }
    Ok(ExitCode::SUCCESS)
}

fn narrow(row: &OutboxRow, now: u64) -> [String; 6] {
    let age = shortest(now.saturating_sub(millis_of(row.added_ms)));
    let reason = row.reason.clone().unwrap_or_default();
    let state = label(row.state).to_owned();
    [row.job.id.clone(), state, row.job.job_type.clone(), age, due(row, now), reason]
}

/// Returns the remaining wait of a job that is not due yet.
fn due(row: &OutboxRow, now: u64) -> String {
    match (row.state, millis_of(row.due_ms).saturating_sub(now)) {
        (RowState::Waiting, 0) => "now".to_owned(),
        (RowState::Waiting, wait) => format!("in {}", shortest(wait)),
        (RowState::Parked | RowState::Sent, _) => "-".to_owned(),
    }
}

fn wide(row: &OutboxRow) -> [String; 11] {
    let at = |ms: i64| rfc3339(millis_of(ms));
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let job = &row.job;
    [
        job.id.clone(),
        label(row.state).to_owned(),
        job.job_type.clone(),
        at(row.added_ms),
        at(row.due_ms),
        row.failures.to_string(),
        text(&row.reason),
        text(&job.queue),
        text(&job.group),
        row.sent_ms.map(at).unwrap_or_default(),
        text(&row.message_id),
    ]
}

#[cfg(test)]
mod tests {
    use drumline_store::outbox::OutboxJob;
    use unicode_width::UnicodeWidthStr;

    use super::*;
    use crate::list::fitted;

    const NOW: u64 = 1_700_000_000_000;

    fn row(state: RowState, due_in_ms: i64, reason: Option<&str>) -> OutboxRow {
        let now = i64::try_from(NOW).unwrap_or_default();
        let job = OutboxJob::new("01JQ3ZC5T8M1Y4ZZZZZZZZZZZZ", "email.send.weekly", "{}");
        let mut row = OutboxRow::waiting(job, now - 90_000, now + due_in_ms);
        (row.state, row.reason) = (state, reason.map(str::to_owned));
        row
    }

    #[test]
    fn a_line_fits_on_a_terminal_and_names_the_wait() {
        let rows = [
            narrow(&row(RowState::Waiting, -5_000, None), NOW),
            narrow(&row(RowState::Waiting, 3 * 3_600_000, None), NOW),
            narrow(
                &row(RowState::Parked, 3_600_000, Some("the queue has no message group for this job")),
                NOW,
            ),
        ];
        let lines = fitted(&COLUMNS, &rows, 80);
        assert!(lines.iter().all(|line| line.width() <= 80), "{lines:?}");
        assert!(lines[1].contains("  1m   now"), "{lines:?}");
        assert!(lines[2].contains("in 3h"), "{lines:?}");
        assert!(lines[3].contains("parked") && lines[3].ends_with('…'), "{lines:?}");
    }

    #[test]
    fn all_columns_of_a_sent_job_have_a_value() {
        let mut sent = row(RowState::Sent, 0, None);
        (sent.sent_ms, sent.message_id) = (Some(sent.due_ms + 500), Some("m-1".to_owned()));
        let cells = wide(&sent);
        assert_eq!((&*cells[1], &*cells[9], &*cells[10]), ("sent", "2023-11-14T22:13:20Z", "m-1"));
        assert_eq!(due(&sent, 0), "-");
    }
}
