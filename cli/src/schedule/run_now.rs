//! `drumline schedule run-now`: a job of a schedule, at once.

use std::io::Write;
use std::process::ExitCode;

use drumline_consumer::ExitError;
use drumline_runtime::Environment;

use super::declared::{Declared, TimetableSettings, WHICH_SCHEDULES};
use crate::output::print;
use crate::settings_args::SettingsArgs;

/// Adds a job of a schedule at once, and prints its id
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} schedule run-now daily-report
  {{program}} jobs watch $({{program}} schedule run-now daily-report)

The job waits in the outbox, and a relay sends it: `{{program}} schedule run` or `{{program}} outbox run`. It is a job of its own: the \
next firing is as it would be without it. A paused schedule can be run, too.

{WHICH_SCHEDULES}

Exit status: 0 added, 64 bad usage, or these settings have no such schedule, 69 the outbox cannot be used."))]
pub(super) struct RunNowArgs {
    /// The name of the schedule
    name: String,
    #[command(flatten)]
    settings: SettingsArgs<TimetableSettings>,
}

pub(super) async fn run_now(args: &RunNowArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let declared = Declared::of(&args.settings, environment).await?;
    let added = declared.timetable.run_now(&*declared.opened.outbox, &args.name).await;
    let id = added.map_err(|error| declared.error(&error))?;
    print(|out| writeln!(out, "{id}"))?;
    Ok(ExitCode::SUCCESS)
}
