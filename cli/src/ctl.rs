//! `drumline ctl`: sends orders to running workers.
//!
//! [`args`] has the subject, the author and the recipients of an order. [`worker`] asks one worker over HTTP; orders for all
//! workers are documents in the store.

mod args;
mod drain;
mod give;
mod ls;
mod worker;

use std::process::ExitCode;

use clap::Subcommand;
use drumline_consumer::ExitError;
use drumline_runtime::Environment;

use args::TO_WHOM;
pub(crate) use args::Who;
use drain::DrainArgs;
use give::{ConcurrencyArgs, PauseArgs, RateArgs, ResetArgs, ResumeArgs};
use ls::LsArgs;
pub(crate) use worker::understood as refusal_of;

/// Pauses and changes running workers, by queue or job type
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, after_long_help = format!("\
Examples:
  {{program}} ctl pause jobs --why 'bad deploy of the mail service'
  {{program}} ctl pause --type email.send --everywhere --for 30m
  {{program}} ctl concurrency 5 jobs
  {{program}} ctl rate 50/s --type email.send
  {{program}} ctl ls

{TO_WHOM}

Exit status: 0 ok, 64 bad usage, or the worker refuses, 69 the worker or the store does not answer; the help of each command lists its own \
statuses."))]
pub(crate) struct CtlArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ls(LsArgs),
    Pause(PauseArgs),
    Resume(ResumeArgs),
    Drain(DrainArgs),
    Concurrency(ConcurrencyArgs),
    Rate(RateArgs),
    Reset(ResetArgs),
}

pub(crate) fn ctl(args: &CtlArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        match &args.command {
            Command::Ls(args) => ls::ls(args, environment).await,
            Command::Pause(args) => give::pause(args, environment).await,
            Command::Resume(args) => give::resume(args, environment).await,
            Command::Drain(args) => drain::drain(args, environment).await,
            Command::Concurrency(args) => give::concurrency(args, environment).await,
            Command::Rate(args) => give::rate(args, environment).await,
            Command::Reset(args) => give::reset(args, environment).await,
        }
    });
    // No one waits for the answer of a request that is still in flight.
    runtime.shutdown_background();
    result
}
