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

A firing adds its job to the outbox, and a relay sends it to SQS: this process is one too, and sends all that is due in the outbox, as \
`{{program}} outbox run` does.

Run two or more: one leads, and another takes over when it ends. Each firing is one job, also if one is killed: its id is the name of the \
schedule and the instant. Times are those of the outbox's clock.

A firing that is more than a minute late was missed. By catch_up, missed firings are skipped (\"skip\"), the newest one fires (\"last\", \
the default), or all do, a thousand at most (\"all\").

SIGTERM or Ctrl-C: it fires nothing more, sends what is in hand, and lets another one lead; a second one ends it at once.

It needs sqs:SendMessage on the queues, and sqs:GetQueueUrl for queues that are given by name.

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
