//! `drumline outbox retry`: retries parked jobs.

use std::collections::HashSet;
use std::process::ExitCode;

use drumline_consumer::ExitError;
use drumline_runtime::Environment;
use drumline_store::outbox::{RowState, Rows};

use crate::format::{count, note};
use crate::opened_outbox::{OpenedOutbox, OutboxSettings, WHICH_OUTBOX};
use crate::settings_args::SettingsArgs;

/// The number of jobs in one request.
const AT_ONCE: usize = 500;

/// Retries parked jobs, after you have fixed the cause
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} outbox ls --state parked
  {{program}} outbox retry 01JQ3ZC5T8M1Y4
  {{program}} outbox retry --all-parked

The jobs become due at once. Each keeps its place in the order of its group. If a job still cannot be sent, the relay parks it again.

{WHICH_OUTBOX}

Exit status: 0 the relay will retry the jobs, 1 some of the jobs are not parked, 64 bad usage, 69 the outbox cannot be used."))]
pub(super) struct RetryArgs {
    /// The ids of the jobs
    #[arg(value_name = "ID", required_unless_present = "all_parked", conflicts_with = "all_parked")]
    ids: Vec<String>,
    /// All currently parked jobs
    #[arg(long)]
    all_parked: bool,
    #[command(flatten)]
    settings: SettingsArgs<OutboxSettings>,
}

pub(super) async fn retry(args: &RetryArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let settings = args.settings.read_for_tool(environment)?;
    let opened = OpenedOutbox::of(&settings).await?;
    if args.all_parked {
        let retried = retry_all(&opened).await?;
        note(&format!("{} will be tried again", count(retried, "job")));
        return Ok(ExitCode::SUCCESS);
    }
    let mut retried = 0;
    for ids in args.ids.chunks(AT_ONCE) {
        retried += opened.outbox.retry(ids).await.map_err(|error| opened.error(&error))?;
    }
    note(&format!("{} will be tried again", count(retried, "job")));
    let others = args.ids.len().saturating_sub(retried);
    if others > 0 {
        let others = count(others, "job");
        note(&format!("{others} not parked: waiting already, sent, or not there; see `outbox show ID`"));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Retries each parked job once. Relays may park some jobs again meanwhile, and list these first: they are left for the next
/// call.
async fn retry_all(opened: &OpenedOutbox) -> Result<usize, ExitError> {
    let failed = |error| opened.error(&error);
    let mut tried: HashSet<String> = HashSet::new();
    let mut retried = 0;
    loop {
        let query = Rows::new(Some(RowState::Parked), tried.len() + AT_ONCE);
        let rows = opened.outbox.rows(&query).await.map_err(failed)?;
        let ids: Vec<String> =
            rows.into_iter().map(|row| row.job.id).filter(|id| !tried.contains(id)).take(AT_ONCE).collect();
        if ids.is_empty() {
            return Ok(retried);
        }
        retried += opened.outbox.retry(&ids).await.map_err(failed)?;
        tried.extend(ids);
    }
}
