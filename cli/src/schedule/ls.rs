//! `drumline schedule ls`: prints a line for each schedule.

use std::process::ExitCode;

use drumline_consumer::ExitError;
use drumline_runtime::Environment;

use super::declared::{Declared, TimetableSettings, WHICH_SCHEDULES};
use super::view::ScheduleView;
use crate::format::{note, now_ms};
use crate::list::{Column, FORMS, List};
use crate::output::Output;
use crate::settings_args::SettingsArgs;

/// Lists the schedules, with their next and last firings
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} schedule ls --config drumline.toml
  {{program}} schedule ls --wide
  {{program}} schedule ls --output json | jq -r 'select(.state == \"paused\") | .name'

{FORMS}

States: active, paused, new (no scheduler has seen the schedule yet), changed (the outbox still has an earlier rule, because an earlier \
version of the settings leads or no scheduler has run since the change), removed (no longer in the settings; the outbox keeps its state \
for 30 days), unusable (a newer version wrote its state). Schedules that other settings or a program declare come last, without a type, \
because only the outbox knows them.

{WHICH_SCHEDULES}

Exit status: 0 listed, even if there is none, 64 bad usage, 69 the outbox cannot be used."))]
pub(super) struct LsArgs {
    /// Show all columns without truncation
    #[arg(long)]
    wide: bool,
    /// Text for people, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    settings: SettingsArgs<TimetableSettings>,
}

/// The columns on a terminal.
static COLUMNS: [Column; 6] = [
    Column::whole("SCHEDULE"),
    Column::cut("ZONE", 16),
    Column::cut("WHEN", 16),
    Column::whole("NEXT"),
    Column::whole("LAST"),
    Column::cut("STATE", usize::MAX),
];

/// The columns of `--wide` and of output for other programs.
const WIDE: [&str; 9] = ["SCHEDULE", "WHEN", "ZONE", "NEXT", "LAST", "STATE", "TYPE", "CATCH UP", "CREATED"];

pub(super) async fn ls(args: &LsArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let Declared { timetable, opened } = Declared::of(&args.settings, environment).await?;
    let listed = timetable.list(&*opened.outbox).await.map_err(|error| opened.error(&error))?;
    let (now, mut list) = (now_ms(), List::new(args.output, args.wide, &COLUMNS, WIDE));
    for schedule in &listed {
        let view = ScheduleView::from(schedule);
        list.add(|| view.narrow(now), || view.wide(), &view)?;
    }
    list.end()?;
    if listed.is_empty() {
        note(&format!("there is no schedule in the settings, and none in the outbox {}", opened.url));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;
    use crate::list::fitted;

    #[test]
    fn a_line_fits_on_a_terminal() {
        let row = |cells: [&str; 6]| cells.map(str::to_owned);
        let rows = [
            row([
                "daily-report",
                "America/Argentina/Buenos_Aires",
                "0 7 * * MON-FRI",
                "in 14h",
                "9h ago",
                "active",
            ]),
            row(["billing/poll-the-mailbox", "", "every 30s", "-", "40s ago", "paused"]),
        ];
        let lines = fitted(&COLUMNS, &rows, 80);
        assert!(lines.iter().all(|line| line.width() <= 80), "{lines:?}");
        assert!(lines[1].contains("0 7 * * MON-FRI") || lines[1].contains("0 7 * * MON"), "{lines:?}");
        assert!(lines[1].ends_with("active") && lines[2].ends_with("paused"), "{lines:?}");
    }
}
