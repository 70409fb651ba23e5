//! `drumline schedule pause` and `resume`: pause and resume a schedule.

use std::process::ExitCode;

use drumline_consumer::ExitError;
use drumline_runtime::{Environment, program};

use super::declared::{Declared, TimetableSettings, WHICH_SCHEDULES};
use crate::format::note;
use crate::settings_args::SettingsArgs;

/// Pauses a schedule: it does not fire until it is resumed
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} schedule pause daily-report
  {{program}} schedule pause billing/daily-report

The outbox keeps the pause, so it applies to all schedulers, and restarts and deployments do not end it. Firings during the pause are \
skipped. For a schedule of another timetable, put the timetable's name in front, as in the second example.

{WHICH_SCHEDULES}

Exit status: 0 paused, even if it was paused before, 64 bad usage, or there is no such schedule, 69 the outbox cannot be used."))]
pub(super) struct PauseArgs {
    #[command(flatten)]
    which: Which,
}

/// Resumes a paused schedule
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} schedule resume daily-report

The schedule fires again from now on. Firings during the pause are skipped; `{{program}} schedule run-now` adds one job in place of them.

{WHICH_SCHEDULES}

Exit status: 0 resumed, even if it was not paused, 64 bad usage, or there is no such schedule, 69 the outbox cannot be used."))]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
struct Which {
    /// The name of the schedule
    name: String,
    #[command(flatten)]
    settings: SettingsArgs<TimetableSettings>,
}

pub(super) async fn pause(args: &PauseArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let Which { name, settings } = &args.which;
    let declared = Declared::of(settings, environment).await?;
    let paused = declared.timetable.pause(&*declared.opened.outbox, name).await;
    if paused.map_err(|error| declared.error(&error))? {
        note(&format!("{name} is paused, until `{} schedule resume {name}`", program()));
    } else {
        note(&format!("{name} was paused already"));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn resume(args: &ResumeArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let Which { name, settings } = &args.which;
    let declared = Declared::of(settings, environment).await?;
    let resumed = declared.timetable.resume(&*declared.opened.outbox, name).await;
    if resumed.map_err(|error| declared.error(&error))? {
        note(&format!("{name} fires again, from now on"));
    } else {
        note(&format!("{name} was not paused"));
    }
    Ok(ExitCode::SUCCESS)
}
