//! The command line of `drumline`, and of every service built on this crate.

mod check;
mod config;
mod connection;
mod dev;
mod dlq;
mod doctor;
mod exit;
mod health;
mod histories;
mod job_text;
mod jobs;
mod own_endpoint;
mod run;
mod send;
mod view;
mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use drumline::Router;

use drumline_runtime::{Environment, Problems, SETTINGS, Setting, Settings};
use exit::Failed;

/// Makes the router, once it is known to be needed.
type MakeRouter = Box<dyn FnOnce() -> Result<Router, String>>;

/// Prepares a folder for trying things out: its router and its jobs.
type MakeDev = Box<dyn FnOnce(&Path) -> Result<(Router, Vec<DevJob>), String>>;

/// A program around a router: `run`, `dev`, `send`, `jobs`, `dlq`, `config`, `doctor` and `health`.
pub struct App {
    router: MakeRouter,
    dev: Option<MakeDev>,
    known: Vec<&'static str>,
}

/// A job that `dev` sends to show something.
#[derive(Debug, Clone)]
pub struct DevJob {
    /// What it shows, in a few words.
    pub label: String,
    /// The message body.
    pub body: String,
    /// The files that are there once it is done.
    pub outputs: Vec<PathBuf>,
}

impl App {
    /// A program with the handlers that `router` makes. An error is a wrong setting of theirs, in words.
    pub fn new(router: impl FnOnce() -> Result<Router, String> + 'static) -> Self {
        Self { router: Box::new(router), dev: None, known: Vec::new() }
    }

    /// Has `dev` run another router and send these jobs; both may use the folder they are given.
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

    /// Does what the command line says.
    pub fn main(self) -> ExitCode {
        let matches = match command().try_get_matches() {
            Ok(matches) => matches,
            Err(error) => return exit::usage(&error),
        };
        let environment = Environment::of_process().declare(&self.known);
        let environment = &environment;
        let result = match matches.subcommand() {
            Some(("run", args)) => run::run(args, environment, self.router),
            Some(("dev", args)) => dev::dev(args, environment, self.router, self.dev),
            Some(("send", args)) => send::send(args, environment),
            Some(("jobs", args)) => jobs::jobs(args, environment),
            Some(("dlq", args)) => dlq::dlq(args, environment),
            Some(("config", args)) => config::config(args, environment, self.router),
            Some(("doctor", args)) => doctor::doctor(args, environment),
            Some(("health", args)) => health::health(args, environment),
            other => unreachable!("clap knows no other command: {other:?}"),
        };
        result.unwrap_or_else(|failed: Failed| failed.report())
    }
}

fn command() -> Command {
    Command::new("drumline")
        .version(env!("CARGO_PKG_VERSION"))
        .about("An AWS SQS consumer that loses nothing, repeats nothing, and says why")
        .after_help(
            "Start here: `drumline dev` runs everything on this machine, without an AWS account.\n\
             Exit status: 0 ok, 64 bad configuration or usage, 69 a service is unavailable, 1 anything else.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(run::command())
        .subcommand(dev::command())
        .subcommand(send::command())
        .subcommand(jobs::command())
        .subcommand(dlq::command())
        .subcommand(config::command())
        .subcommand(doctor::command())
        .subcommand(health::command())
}

/// A flag for every setting, and `--config`.
fn settings_args() -> Vec<Arg> {
    args_of(|_| true)
}

/// The same for the settings with these keys.
fn some_settings_args(keys: &[&str]) -> Vec<Arg> {
    args_of(|setting| keys.contains(&setting.key))
}

fn args_of(is_wanted: impl Fn(&Setting) -> bool) -> Vec<Arg> {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help("Settings as TOML [env: DRUMLINE_CONFIG]");
    let settings = SETTINGS.iter().filter(|setting| is_wanted(setting)).map(|setting| {
        let default = setting.default.map(|text| format!(" [default: {text}]")).unwrap_or_default();
        let arg = Arg::new(setting.key).long(setting.flag()).value_name(setting.value);
        let arg = arg.help(format!("{} [env: {}]{default}", setting.help, setting.variable()));
        if setting.is_switch() {
            arg.num_args(0..=1).require_equals(true).default_missing_value("true")
        } else {
            arg
        }
    });
    std::iter::once(config).chain(settings).collect()
}

/// The settings that a command line and its surroundings tell.
fn read_settings(args: &ArgMatches, environment: &Environment) -> Result<Settings, Problems> {
    environment.settings(&flags(args), config_file(args))
}

/// The same for a command that has flags for some of them only, and may need no queue.
fn read_tool_settings(args: &ArgMatches, environment: &Environment) -> Result<Settings, Failed> {
    environment
        .settings_of_tool(&flags(args), config_file(args))
        .map_err(|problems| Failed::usage(problems.to_string()))
}

fn flags(args: &ArgMatches) -> BTreeMap<String, String> {
    // A flag that the command does not have is an error to clap, and no flag to us.
    let given =
        |key: &'static str| Some((key.to_owned(), args.try_get_one::<String>(key).ok().flatten()?.clone()));
    SETTINGS.iter().filter_map(|setting| given(setting.key)).collect()
}

fn config_file(args: &ArgMatches) -> Option<&Path> {
    args.get_one::<PathBuf>("config").map(PathBuf::as_path)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_sound() {
        super::command().debug_assert();
    }
}
