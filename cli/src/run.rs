//! `drumline run`: runs the consumer.

use std::process::ExitCode;

use drumline_consumer::{ExitError, run_rereading};
use drumline_runtime::{Environment, Service};

use crate::settings_args::{OfConsumer, SettingsArgs};

/// Consumes queues until SIGTERM or Ctrl-C, then drains
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  {program} run --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/jobs
  DRUMLINE_QUEUE_URL=… {program} run --forward-to http://127.0.0.1:8080/jobs --concurrency 8
  {program} run --config worker.toml --log info,drumline=debug

On SIGHUP, the worker rereads the settings file. [limits] and the concurrency of queues change without a restart; the log names other \
changed settings, which need a restart. In a terminal, SIGHUP ends the process.

AWS's own variables apply too: AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL, credentials.

Exit status: 0 drained after SIGTERM or Ctrl-C, 64 bad configuration, 69 a queue, the store or the HTTP address is unavailable, 1 any \
other error.")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    settings: SettingsArgs<OfConsumer>,
}

pub(crate) fn run(
    args: &RunArgs,
    environment: &Environment,
    service: Service,
) -> Result<ExitCode, ExitError> {
    run_rereading(args.settings.reader(environment), service)
}
