//! The program: which command is meant, and what it is given.

#[cfg(feature = "dev")]
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use drumline::Router;
use drumline_consumer::ExitError;
use drumline_runtime::Environment;

use crate::config::{self, ConfigArgs};
#[cfg(feature = "dev")]
use crate::dev::{self, DevArgs};
use crate::dlq::{self, DlqArgs};
#[cfg(feature = "doctor")]
use crate::doctor::{self, DoctorArgs};
use crate::health::{self, HealthArgs};
use crate::jobs::{self, JobsArgs};
use crate::run::{self, RunArgs};
use crate::send::{self, SendArgs};
use crate::service::MakeRouter;
#[cfg(feature = "dev")]
use crate::service::{DevJob, MakeDev};
use crate::usage;

/// A program around a router: `run`, `send`, `jobs`, `dlq`, `config` and `health`, and by features `dev` and `doctor`.
pub struct App {
    router: MakeRouter,
    #[cfg(feature = "dev")]
    dev: Option<MakeDev>,
    known: Vec<&'static str>,
}

/// An AWS SQS worker for Rust and for any language over HTTP: no message lost, duplicates suppressed, every failure
/// explained
#[derive(Parser)]
#[command(name = "drumline", version, after_help = AFTER_HELP, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[cfg(feature = "dev")]
const AFTER_HELP: &str = "\
Start here: `drumline dev` runs everything on this machine, without an AWS account.
Exit status: 0 ok, 64 bad configuration or usage, 69 a service is unavailable, 1 anything else.";

#[cfg(not(feature = "dev"))]
const AFTER_HELP: &str =
    "Exit status: 0 ok, 64 bad configuration or usage, 69 a service is unavailable, 1 anything else.";

#[derive(Subcommand)]
enum Command {
    Run(RunArgs),
    #[cfg(feature = "dev")]
    Dev(DevArgs),
    Send(SendArgs),
    Jobs(JobsArgs),
    Dlq(DlqArgs),
    Config(ConfigArgs),
    #[cfg(feature = "doctor")]
    Doctor(DoctorArgs),
    Health(HealthArgs),
}

impl App {
    /// A program with the handlers that `router` makes. An error is a wrong setting of theirs, in words.
    pub fn new(router: impl FnOnce() -> Result<Router, String> + 'static) -> Self {
        Self {
            router: Box::new(router),
            #[cfg(feature = "dev")]
            dev: None,
            known: Vec::new(),
        }
    }

    /// Has `dev` run another router and send these jobs; both may use the folder they are given.
    #[cfg(feature = "dev")]
    pub fn dev(
        mut self,
        prepare: impl FnOnce(&Path) -> Result<(Router, Vec<DevJob>), String> + 'static,
    ) -> Self {
        self.dev = Some(Box::new(prepare));
        self
    }

    /// Declares `DRUMLINE_` variables that the handlers read. Other names are reported as unknown, or as misspelt if they
    /// resemble a known one.
    pub fn known_variables(mut self, names: &[&'static str]) -> Self {
        self.known.extend(names);
        self
    }

    /// Runs the command of the command line.
    pub fn main(self) -> ExitCode {
        let command = match CommandLine::try_parse() {
            Ok(CommandLine { command }) => command,
            Err(error) => return usage::report(&error),
        };
        let environment = Environment::of_process().declare(&self.known);
        let environment = &environment;
        let result = match command {
            Command::Run(args) => run::run(&args, environment, self.router),
            #[cfg(feature = "dev")]
            Command::Dev(args) => dev::dev(&args, environment, self.router, self.dev),
            Command::Send(args) => send::send(&args, environment),
            Command::Jobs(args) => jobs::jobs(&args, environment),
            Command::Dlq(args) => dlq::dlq(&args, environment),
            Command::Config(args) => config::config(&args, environment, self.router),
            #[cfg(feature = "doctor")]
            Command::Doctor(args) => doctor::doctor(&args, environment, self.router),
            Command::Health(args) => health::health(&args, environment),
        };
        result.unwrap_or_else(ExitError::report)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        super::CommandLine::command().debug_assert();
    }
}
