//! A program around a router: settings, logs, signals, the drain, and the exit status.

use std::collections::BTreeMap;
use std::process::ExitCode;

use drumline::Router;
use drumline::core::DrainSummary;
use drumline_runtime::logging::{self, Spans};
use drumline_runtime::{Environment, Forward, Problems, Settings, forward_to, redacted, runtimes};
use tracing::info;

use crate::consumer::Consumer;
use crate::exit::ExitError;
use crate::signals::Signals;

/// Consumes queues with the handlers that `router` makes until SIGTERM or Ctrl-C, then drains: a whole `main`.
///
/// The settings are those of the `DRUMLINE_` variables, and of the file that `DRUMLINE_CONFIG` names. In forward mode
/// (`DRUMLINE_FORWARD_TO`) `router` is not called. An error of `router` is a wrong setting of the handlers, in words.
///
/// | exit status | reason |
/// |---|---|
/// | 0 | drained |
/// | 64 | bad configuration: all problems are reported at once |
/// | 69 | a queue, the store, or the address of the HTTP endpoint is unavailable |
/// | 1 | any other error, or a second signal |
pub fn run(router: impl FnOnce() -> Result<Router, String>) -> ExitCode {
    run_in(&Environment::of_process(), router)
}

/// As [`run`], in this environment. Handlers that read `DRUMLINE_` variables of their own
/// [declare](Environment::declare) them, so that they are no misspelt settings.
pub fn run_in(environment: &Environment, router: impl FnOnce() -> Result<Router, String>) -> ExitCode {
    let settings = environment.settings(&BTreeMap::new(), None);
    match run_with(settings, router) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

/// As [`run`], with settings that are read already. Problems with them are reported together with those of the handlers'
/// settings.
pub fn run_with(
    settings: Result<Settings, Problems>,
    router: impl FnOnce() -> Result<Router, String>,
) -> Result<(), ExitError> {
    let settings = match settings {
        Ok(settings) => settings,
        Err(problems) => return Err(ExitError::usage(problems.with_those_of(router))),
    };
    logging::init(settings.log_format, &settings.log, Spans::Innermost);
    let (io, handlers) = runtimes()?;
    let summaries = io.block_on(async {
        let signals = Signals::catch()?;
        let consumer = consumer_for(settings, router)?.handlers_on(handlers.handle().clone());
        consumer.run(signals.first()).await.map_err(ExitError::from)
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
    Ok(())
}

fn consumer_for(
    settings: Settings,
    router: impl FnOnce() -> Result<Router, String>,
) -> Result<Consumer, ExitError> {
    match &settings.forward_to {
        Some(target) => {
            let forward = forward_to(target, &settings.forward);
            let Forward { router, target } =
                forward.map_err(|error| ExitError::usage(format!("DRUMLINE_FORWARD_TO: {error}")))?;
            Ok(Consumer::new(settings, router).target(target))
        }
        None => Ok(Consumer::new(settings, router().map_err(|text| ExitError::usage(redacted(&text)))?)),
    }
}
