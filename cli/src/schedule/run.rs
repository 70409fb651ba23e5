//! `drumline schedule run`: runs a scheduler, and a relay for the jobs that it adds.

use std::process::ExitCode;

use drumline_consumer::ExitError;
use drumline_runtime::Environment;

use super::declared::{WHICH_SCHEDULES, timetable};
use crate::relay::{self, RelayArgs};

/// Fires the schedules and sends their jobs, until SIGTERM or Ctrl-C
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} schedule run --config drumline.toml --outbox-url postgres://app@db/orders
  DRUMLINE_CONFIG=drumline.toml {{program}} schedule run

When a schedule fires, the process adds a job to the outbox. It is also a relay: like `{{program}} outbox run`, it sends all due jobs of \
the outbox to SQS.

Run two or more of these processes: one leads, and another takes over when the leader ends. Each firing adds one job, even if a process is \
killed. The job's id consists of the schedule's name and the time of the firing. All times are those of the outbox's clock.

A firing that is more than a minute late counts as missed. The setting catch_up says which missed firings run later: none (\"skip\"), the \
newest one (\"last\", the default), or all, at most a thousand (\"all\").

On SIGTERM or Ctrl-C, the process fires no more schedules, finishes the requests that are open, and lets another process lead. A second \
signal ends it at once.

The process needs sqs:SendMessage on the queues, and sqs:GetQueueUrl for queues that are given by name.

{WHICH_SCHEDULES}

Exit status: 0 stopped by a signal, 64 bad configuration, 69 the outbox or the HTTP address is unavailable."))]
pub(super) struct RunArgs {
    #[command(flatten)]
    relay: RelayArgs,
}

pub(super) fn run(args: &RunArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let settings = args.relay.settings(environment)?;
    let timetable = timetable(&settings)?;
    if timetable.schedules().is_empty() {
        return Err(ExitError::usage(
            "there is no schedule: declare some as [[schedule]] in the file of settings (--config, DRUMLINE_CONFIG), such as\n  \
             [[schedule]]\n  name = \"daily-report\"\n  cron = \"0 7 * * *\"\n  time_zone = \"Europe/Zurich\"\n  type = \
             \"report.daily\"",
        ));
    }
    relay::run(&args.relay, &settings, |outbox, stopped| async {
        timetable.run(outbox, stopped).await;
    })
}
