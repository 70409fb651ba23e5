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

A job goes to the queue that it names; else to that of its type under [queue_by_type] in the file; else to DRUMLINE_QUEUE_URL. It leaves \
the outbox once SQS has confirmed it. What SQS does not take now is tried again; what can never be sent is parked, with its reason, and \
holds up nothing: see `{{program}} outbox ls --state parked`. Jobs of a group are sent in the order in which they were added.

Several relays may run, also beside each other: they share the jobs, and one takes over when another one ends. At DRUMLINE_HTTP_ADDR are \
/livez, /readyz and /metrics, with drumline_outbox_lag_seconds among them.

SIGTERM or Ctrl-C: it sends what is in hand, and releases the rest; a second one ends it at once, and the rest waits for the end of its \
leases (--lease).

It needs sqs:SendMessage on the queues, and sqs:GetQueueUrl for queues that are given by name.

{WHICH_OUTBOX}

Exit status: 0 stopped by a signal, or with --once all jobs that were due are sent; 1 with --once some were parked or not taken by SQS; 64 \
bad configuration; 69 the outbox or the HTTP address is unavailable."))]
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
