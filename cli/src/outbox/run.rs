//! `drumline outbox run`: runs a relay.

use std::process::ExitCode;

use drumline_consumer::ExitError;
use drumline_producer::outbox::RelaySummary;
use drumline_runtime::Environment;
use serde::Serialize;

use crate::format::{count, note};
use crate::opened_outbox::WHICH_OUTBOX;
use crate::output::{Output, print};
use crate::relay::{self, RelayArgs};

/// Sends the jobs of the outbox until SIGTERM or Ctrl-C
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} outbox run --outbox-url postgres://relay@db/orders --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/jobs
  {{program}} outbox run --config relay.toml
  {{program}} outbox run --once --output json

The relay sends a job to the queue that the job names, otherwise to the queue of its type under [queue_by_type] in the settings file, \
otherwise to DRUMLINE_QUEUE_URL. It removes the job from the outbox after SQS has confirmed it. If SQS does not accept a job for now, the \
relay retries it. If a job can never be sent, the relay parks it with the reason, and continues with other jobs: see `{{program}} outbox \
ls --state parked`. The relay sends the jobs of a group in the order in which they were added.

Several relays may run at the same time: they share the jobs, and when one ends, the others take over its jobs. Each relay serves /livez, \
/readyz and /metrics at DRUMLINE_HTTP_ADDR; one of its metrics is drumline_outbox_lag_seconds.

On SIGTERM or Ctrl-C, the relay finishes the requests that are open and releases all other jobs. A second signal ends it at once; other \
relays can then send its jobs only after its leases have expired (--lease).

The relay needs sqs:SendMessage on the queues, and sqs:GetQueueUrl for queues that are given by name.

{WHICH_OUTBOX}

Exit status: 0 stopped by a signal, or with --once all due jobs were sent; 1 with --once some jobs were parked, or SQS did not accept \
them; 64 bad configuration; 69 the outbox or the HTTP address is unavailable."))]
pub(super) struct RunArgs {
    /// Send the jobs that are due now, and exit
    #[arg(long)]
    once: bool,
    /// With --once: text for people, or JSON for programs
    #[arg(long, value_enum, requires = "once", default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    relay: RelayArgs,
}

/// The counts of `--once`, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    sent: u64,
    put_back: u64,
    parked: u64,
    /// The jobs that are due but not sent: put back, or taken by another relay.
    left: u64,
}

pub(super) fn run(args: &RunArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let settings = args.relay.settings(environment)?;
    if !args.once {
        return relay::run(&args.relay, &settings, |_, stopped| stopped);
    }
    let RelaySummary { sent, put_back, parked, left, .. } = relay::drain(&args.relay, &settings)?;
    match args.output {
        Output::Json => print(|out| out.json_line(&Counts { sent, put_back, parked, left }))?,
        Output::Table => {
            let sent = count(usize::try_from(sent).unwrap_or(usize::MAX), "job");
            note(&format!("{sent} sent, {put_back} not taken by SQS, {parked} parked"));
            if left > 0 {
                let left = count(usize::try_from(left).unwrap_or(usize::MAX), "job");
                note(&format!(
                    "{left} due and not sent: not taken by SQS, or held by another relay, until its lease ends"
                ));
            }
        }
    }
    Ok(if put_back + parked + left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
