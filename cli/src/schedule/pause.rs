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

A pause is kept in the outbox: it holds for all schedulers, and over restarts and deployments. Firings that fall into it are skipped. A \
schedule of another timetable has its name in front.

{WHICH_SCHEDULES}

Exit status: 0 paused, also if it was, 64 bad usage, or there is no such schedule, 69 the outbox cannot be used."))]
pub(super) struct PauseArgs {
    #[command(flatten)]
    which: Which,
}

/// Resumes a paused schedule
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} schedule resume daily-report

It fires from now on. Firings that fell into the pause are skipped: `{{program}} schedule run-now` makes up for one.

{WHICH_SCHEDULES}

Exit status: 0 resumed, also if it was not paused, 64 bad usage, or there is no such schedule, 69 the outbox cannot be used."))]
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
