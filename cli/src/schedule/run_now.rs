//! `drumline schedule run-now`: adds a job of a schedule immediately.

use std::io::Write;
use std::process::ExitCode;

use drumline_consumer::ExitError;
use drumline_runtime::Environment;

use super::declared::{Declared, TimetableSettings, WHICH_SCHEDULES};
use crate::output::print;
use crate::settings_args::SettingsArgs;

/// Adds a job of a schedule immediately, and prints its id
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} schedule run-now daily-report
  {{program}} jobs watch $({{program}} schedule run-now daily-report)

The job waits in the outbox until a relay sends it: `{{program}} schedule run` or `{{program}} outbox run`. The job is additional: the \
next firing does not change. The command also works for a paused schedule.

{WHICH_SCHEDULES}

Exit status: 0 added, 64 bad usage, or the settings have no such schedule, 69 the outbox cannot be used."))]
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
