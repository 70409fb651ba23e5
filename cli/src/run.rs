//! `drumline run`: the consumer.

use std::process::ExitCode;

use clap::{ArgMatches, Command};
use drumline::core::DrainSummary;
use drumline_runtime::logging::{self, Spans};
use drumline_runtime::{Environment, Forward, Settings, forward_to, redacted, runtimes};
use tracing::info;

use super::exit::Failed;
use super::{MakeRouter, read_settings, settings_args};
use crate::consumer::Consumer;
use crate::signals::Signals;

pub(super) fn command() -> Command {
    Command::new("run")
        .about("Consumes queues until SIGTERM or Ctrl-C, then drains")
        .after_help(
            "Examples:\n  \
             drumline run --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/jobs\n  \
             DRUMLINE_QUEUE_URL=… drumline run --forward-to http://127.0.0.1:8080/jobs --concurrency 8\n\n\
             AWS's own variables are AWS's: AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL, credentials.",
        )
        .args(settings_args())
}

pub(super) fn run(
    args: &ArgMatches,
    environment: &Environment,
    router: MakeRouter,
) -> Result<ExitCode, Failed> {
    let settings = match read_settings(args, environment) {
        Ok(settings) => settings,
        Err(problems) => return Err(Failed::usage(problems.with_those_of(router))),
    };
    logging::init(settings.log_format, &settings.log, Spans::Innermost);
    let (io, handlers) = runtimes()?;
    let summaries = io.block_on(async {
        let signals = Signals::catch()?;
        let consumer = consumer_for(settings, router)?.handlers_on(handlers.handle().clone());
        consumer.run(signals.first()).await.map_err(Failed::from)
    })?;
    let mut all = DrainSummary::default();
    for (_, summary) in &summaries {
        all.drained += summary.drained;
        all.released += summary.released;
        all.abandoned += summary.abandoned;
    }
    info!(drained = all.drained, released = all.released, abandoned = all.abandoned, "stopped");
    // A blocking job that cannot stop keeps its lease to the end; the process does not wait for it.
    handlers.shutdown_background();
    io.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

fn consumer_for(settings: Settings, router: MakeRouter) -> Result<Consumer, Failed> {
    match &settings.forward_to {
        Some(target) => {
            let forward = forward_to(target, &settings.forward);
            let Forward { router, target } =
                forward.map_err(|error| Failed::usage(format!("DRUMLINE_FORWARD_TO: {error}")))?;
            Ok(Consumer::new(settings, router).target(target))
        }
        None => Ok(Consumer::new(settings, router().map_err(|text| Failed::usage(redacted(&text)))?)),
    }
}
