//! `drumline run`: the consumer.

use std::process::ExitCode;

use drumline_consumer::{ExitError, run_with};
use drumline_runtime::{Environment, Service};

use crate::settings_args::{Every, SettingsArgs};

/// Consumes queues until SIGTERM or Ctrl-C, then drains
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  {program} run --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/jobs
  DRUMLINE_QUEUE_URL=… {program} run --forward-to http://127.0.0.1:8080/jobs --concurrency 8

AWS's own variables are AWS's: AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL, credentials.")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    settings: SettingsArgs<Every>,
}

pub(crate) fn run(
    args: &RunArgs,
    environment: &Environment,
    service: Service,
) -> Result<ExitCode, ExitError> {
    run_with(args.settings.read(environment), service)
}
