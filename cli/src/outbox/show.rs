//! `drumline outbox show`: shows all details of one job.

use std::io::{self, Write};
use std::process::ExitCode;

use drumline_consumer::ExitError;
use drumline_runtime::Environment;
use drumline_store::outbox::{OutboxRow, Rows};

use super::row_view::{WholeRow, label, millis_of};
use crate::format::{count, now_ms, one_line, when};
use crate::opened_outbox::{OpenedOutbox, OutboxSettings, WHICH_OUTBOX};
use crate::output::{Output, print};
use crate::pretty::pretty;
use crate::settings_args::SettingsArgs;

/// Shows all details of one job: times, failure reason and payload
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} outbox show 01JQ3ZC5T8M1Y4
  {{program}} outbox show 01JQ3ZC5T8M1Y4 --output json | jq .payload

The output contains the payload. Payloads should not contain secrets, but this one might.

{WHICH_OUTBOX}

Exit status: 0 shown, 1 the outbox has no such job, 64 bad usage, 69 the outbox cannot be used."))]
pub(super) struct ShowArgs {
    /// The job's id
    id: String,
    /// Text for people, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    settings: SettingsArgs<OutboxSettings>,
}

pub(super) async fn show(args: &ShowArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let settings = args.settings.read_for_tool(environment)?;
    let opened = OpenedOutbox::of(&settings).await?;
    let rows = opened.outbox.rows(&Rows::of(vec![args.id.clone()])).await;
    let Some(row) = rows.map_err(|error| opened.error(&error))?.pop() else {
        return Err(ExitError::other(format!(
            "the outbox {} has no job {}: it was sent and not kept, or its id is another one",
            opened.url, args.id
        )));
    };
    print(|out| match args.output {
        Output::Json => out.json_line(&WholeRow::from(&row)),
        Output::Table => write_row(out, &row, now_ms()),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn write_row(out: &mut impl Write, row: &OutboxRow, now: u64) -> io::Result<()> {
    let job = &row.job;
    let mut fact = |name: &str, value: Option<String>| match value {
        Some(value) => writeln!(out, "{name:<12}{}", one_line(&value)),
        None => Ok(()),
    };
    let at = |ms: i64| when(millis_of(ms), now);
    fact("JOB", Some(job.id.clone()))?;
    fact("TYPE", Some(format!("{} version {}", job.job_type, job.schema_version)))?;
    fact("STATE", Some(label(row.state).to_owned()))?;
    fact("REASON", row.reason.clone())?;
    fact("FAILURES", (row.failures > 0).then(|| count(row.failures as usize, "failure")))?;
    fact("ADDED", Some(at(row.added_ms)))?;
    fact("DUE", Some(at(row.due_ms)))?;
    fact("SENT", row.sent_ms.map(at))?;
    fact("MESSAGE", row.message_id.clone())?;
    fact("QUEUE", job.queue.clone())?;
    fact("GROUP", job.group.clone())?;
    fact("KEY", job.idempotency_key.clone())?;
    fact("CORRELATION", job.correlation_id.clone())?;
    fact("TRACE", job.traceparent.clone())?;
    if !job.attributes.is_empty() {
        writeln!(out, "\nATTRIBUTES")?;
        for (name, value) in &job.attributes {
            writeln!(out, "{}: {}", one_line(name), one_line(value))?;
        }
    }
    writeln!(out, "\nPAYLOAD\n{}", pretty(&job.payload))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use drumline_store::outbox::{OutboxJob, RowState};

    use super::*;

    #[test]
    fn a_parked_job_is_shown_with_its_reason_and_its_payload() {
        let mut job = OutboxJob::new("j-1", "email.send", r#"{"to":[7]}"#);
        job.attributes.insert("tenant".to_owned(), "a\u{1b}b".to_owned());
        let mut row = OutboxRow::waiting(job, 1_700_000_000_000, 1_700_000_000_000);
        (row.state, row.reason, row.failures) = (RowState::Parked, Some("no queue".to_owned()), 2);
        let mut out = Vec::new();
        write_row(&mut out, &row, 1_700_000_065_000).unwrap();
        let text = String::from_utf8(out).unwrap();
        let expected = "\
JOB         j-1
TYPE        email.send version 1
STATE       parked
REASON      no queue
FAILURES    2 failures
ADDED       2023-11-14T22:13:20Z, 1m 5s ago
DUE         2023-11-14T22:13:20Z, 1m 5s ago

ATTRIBUTES
tenant: a b

PAYLOAD
{
  \"to\": [
    7
  ]
}
";
        assert_eq!(text, expected);
    }
}
