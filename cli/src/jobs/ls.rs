//! `drumline jobs ls`: lists the most recently changed jobs.

use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::value_parser;
use drumline_consumer::ExitError;
use drumline_consumer::job_list::ListQuery;
use drumline_consumer::job_view::{self, JobView, ShownState};
use drumline_runtime::Environment;
use drumline_store::MAX_RECENT;

use super::lookup::WHO_IS_ASKED;
use crate::format::{note, now_ms, rfc3339, shortest};
use crate::job_lookup::{Histories, HistorySettings};
use crate::list::{Column, FORMS, List};
use crate::output::Output;
use crate::settings_args::SettingsArgs;

/// Lists the most recently changed jobs, newest first
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} jobs ls
  {{program}} jobs ls --state failed --type email.send
  {{program}} jobs ls --state running --output json | jq -r .claim.owner
  {{program}} jobs ls --limit 100 | cut -f1,2

{FORMS}

The command reads the {MAX_RECENT} jobs that changed last and prints those that match. redis: and dynamodb: keep no list of jobs: with \
these stores, use `jobs show` and `jobs watch`.

{WHO_IS_ASKED}

Exit status: 0 listed, even if no job matches, 64 bad usage, or a store without a list, 69 the store or the worker does not answer."))]
pub(super) struct LsArgs {
    /// Only jobs in this state
    #[arg(long, value_parser = state_parser())]
    state: Option<ShownState>,
    /// Only jobs of this type
    #[arg(long = "type", value_name = "TYPE")]
    job_type: Option<String>,
    /// Only jobs of this queue
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// At most this many jobs
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1000), default_value = "20")]
    limit: u16,
    /// Show all columns without truncation
    #[arg(long)]
    wide: bool,
    /// Text for people, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    settings: SettingsArgs<HistorySettings>,
}

/// The columns on a terminal.
static COLUMNS: [Column; 6] = [
    Column::whole("JOB"),
    Column::whole("STATE"),
    Column::cut("TYPE", 16),
    Column::whole("AGE"),
    Column::whole("TRIES"),
    Column::cut("REASON", usize::MAX),
];

/// The columns of `--wide` and of output for other programs.
const WIDE: [&str; 8] = ["JOB", "STATE", "TYPE", "CHANGED", "ATTEMPTS", "REASON", "QUEUE", "MESSAGE"];

pub(super) async fn ls(args: &LsArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let settings = args.settings.read_for_tool(environment)?;
    let histories = Histories::open(&settings).await?;
    let query = ListQuery {
        state: args.state,
        job_type: args.job_type.clone(),
        queue: args.queue.clone(),
        limit: Some(args.limit.into()),
    };
    let jobs = histories.list(&query).await?;
    let (now, mut list) = (now_ms(), List::new(args.output, args.wide, &COLUMNS, WIDE));
    for job in &jobs {
        list.add(|| narrow(job, now), || wide(job, now), job)?;
    }
    list.end()?;
    if jobs.is_empty() {
        note(&format!("{} knows of no such job", histories.name()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns a parser for the names of states.
fn state_parser() -> impl TypedValueParser<Value = ShownState> {
    let words = PossibleValuesParser::new(ShownState::ALL.map(ShownState::label));
    words.map(|word| {
        let state = ShownState::ALL.into_iter().find(|state| state.label() == word);
        state.expect("only these words are possible")
    })
}

fn narrow(job: &JobView, now: u64) -> [String; 6] {
    let changed = changed_at_ms(job, now).map_or_else(unknown, |at| shortest(now.saturating_sub(at)));
    [job.job.job_id.clone(), state(job), job_type(job), changed, attempts(job), reason(job)]
}

fn wide(job: &JobView, now: u64) -> [String; 8] {
    let changed = changed_at_ms(job, now).map_or_else(unknown, rfc3339);
    let queue = job_view::queue(&job.job).map_or_else(unknown, str::to_owned);
    let claimed = job.job.claim.as_ref().map(|claim| claim.message_id.clone());
    let message = claimed.or_else(|| Some(job.job.attempts.last()?.message_id.clone()));
    let message = message.unwrap_or_else(unknown);
    let id = job.job.job_id.clone();
    [id, state(job), job_type(job), changed, attempts(job), reason(job), queue, message]
}

fn unknown() -> String {
    "-".to_owned()
}

fn state(job: &JobView) -> String {
    job.state.label().to_owned()
}

fn job_type(job: &JobView) -> String {
    job_view::job_type(&job.job).map_or_else(unknown, str::to_owned)
}

fn attempts(job: &JobView) -> String {
    let claimed = job.job.claim.as_ref().map(|claim| claim.attempts);
    let count = claimed.or_else(|| Some(job.job.attempts.last()?.attempt));
    count.map_or_else(unknown, |count| count.to_string())
}

/// Returns the time of the last change, unless it is in the future: a running claim ends later.
fn changed_at_ms(job: &JobView, now: u64) -> Option<u64> {
    Some(job.job.changed_at_ms()?.min(now))
}

/// Returns the last failure of a job that is not done.
fn reason(job: &JobView) -> String {
    if job.state == ShownState::Done {
        return String::new();
    }
    let verdict = job.job.claim.as_ref().and_then(|claim| claim.failure_reason.clone());
    let last = || Some(job.job.attempts.last()?.reason.clone());
    verdict.or_else(last).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use drumline_store::JobState;

    use unicode_width::UnicodeWidthStr;

    use super::*;
    use crate::examples::{attempt, claim, job};
    use crate::list::fitted;

    #[test]
    fn the_id_of_a_message_takes_room_from_other_columns() {
        let id = "b0f3a2c4-6a35-4e1f-9d2b-0123456789ab";
        let cells = [id, "waiting", "email.send.later", "59m", "3", "no route to the host"];
        let lines = fitted(&COLUMNS, &[cells.map(str::to_owned)], 80);
        assert!(lines.iter().all(|line| line.width() <= 80), "{lines:?}");
        assert!(lines[1].starts_with(id) && lines[1].contains("email"), "{lines:?}");
    }

    #[test]
    fn a_job_is_listed_with_its_state_and_its_last_reason() {
        let failed = JobView::from(job(Some(claim(JobState::Failed)), vec![attempt("retry", "no route")]));
        let [id, state, job_type, _, _, reason] = narrow(&failed, u64::MAX);
        assert_eq!((&*id, &*state, &*job_type), ("j-1", "failed", "email.send"));
        assert!(!reason.is_empty());
        let done = JobView::from(job(Some(claim(JobState::Done)), vec![attempt("retry", "no route")]));
        assert_eq!(narrow(&done, u64::MAX)[5], "", "what is done has no reason");
        let never_claimed = JobView::from(job(None, Vec::new()));
        assert_eq!(narrow(&never_claimed, 5)[2..5], ["-", "-", "-"]);
    }
}
