//! The command line under the name of the service's own binary.

use clap::{Command, CommandFactory, Parser, Subcommand};

#[cfg(feature = "bin")]
use crate::completions::CompletionsArgs;
use crate::config::ConfigArgs;
use crate::ctl::CtlArgs;
#[cfg(feature = "dev")]
use crate::dev::DevArgs;
use crate::dlq::DlqArgs;
#[cfg(feature = "doctor")]
use crate::doctor::DoctorArgs;
use crate::health::HealthArgs;
#[cfg(feature = "function")]
use crate::invoke::InvokeArgs;
use crate::jobs::JobsArgs;
#[cfg(feature = "bin")]
use crate::man::ManArgs;
#[cfg(feature = "bin")]
use crate::new::NewArgs;
use crate::outbox::OutboxArgs;
use crate::run::RunArgs;
use crate::schedule::ScheduleArgs;
use crate::schema::SchemaArgs;
use crate::send::SendArgs;
use crate::slo::SloArgs;
use crate::status::StatusArgs;

/// Stands for the binary's name in help texts.
const PROGRAM: &str = "{program}";

/// The name of this repository's own binary, which has no version besides Drumline's.
const OWN_BINARY: &str = "drumline";

const DRUMLINE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// An AWS SQS worker for Rust and for any language over HTTP: no message lost, duplicates suppressed, every failure
/// explained
#[derive(Parser)]
#[command(after_help = AFTER_HELP, after_long_help = AFTER_LONG_HELP, arg_required_else_help = true)]
pub(super) struct CommandLine {
    #[command(subcommand)]
    pub(super) command: Commands,
}

#[derive(Subcommand)]
pub(super) enum Commands {
    #[cfg(feature = "bin")]
    New(NewArgs),
    Run(RunArgs),
    #[cfg(feature = "dev")]
    Dev(DevArgs),
    #[cfg(feature = "function")]
    Invoke(InvokeArgs),
    Send(SendArgs),
    Schema(SchemaArgs),
    Jobs(JobsArgs),
    Ctl(CtlArgs),
    Dlq(DlqArgs),
    Outbox(OutboxArgs),
    Schedule(ScheduleArgs),
    Slo(SloArgs),
    Config(ConfigArgs),
    #[cfg(feature = "doctor")]
    Doctor(DoctorArgs),
    Status(StatusArgs),
    Health(HealthArgs),
    #[cfg(feature = "bin")]
    Completions(CompletionsArgs),
    #[cfg(feature = "bin")]
    Man(ManArgs),
}

#[cfg(feature = "bin")]
const AFTER_HELP: &str = "\
Start here: `{program} new NAME` creates a service, and `{program} dev` runs everything on this machine.
`{program} help COMMAND` shows examples, all settings and the exit statuses of a command.";

#[cfg(all(feature = "dev", not(feature = "bin")))]
const AFTER_HELP: &str = "\
Start here: `{program} dev` runs everything on this machine, without an AWS account.
`{program} help COMMAND` shows examples, all settings and the exit statuses of a command.";

#[cfg(not(feature = "dev"))]
const AFTER_HELP: &str =
    "`{program} help COMMAND` shows examples, all settings and the exit statuses of a command.";

const AFTER_LONG_HELP: &str = "\
Examples:
  {program} run --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/jobs
  {program} send --queue-url URL --type email.send --payload '{\"userId\":7}'
  {program} jobs show 01JQ3ZC5T8M1Y4
  {program} help run

Exit status: 0 ok, 64 bad configuration or usage, 69 a service is unavailable, 141 the reader of the output closed it, as `head` \
does, 1 any other error.";

impl CommandLine {
    /// Returns the command line of `program`. `version` is the version of the service.
    pub(super) fn of(program: &str, version: Option<&str>) -> Command {
        let command =
            Self::command().name(program.to_owned()).bin_name(program).version(shown(program, version));
        let command =
            if program == OWN_BINARY { command } else { command.about("Consumes jobs from AWS SQS queues") };
        with_name(command, program)
    }
}

/// Returns the version as `--version` prints it after the binary's name.
fn shown(program: &str, version: Option<&str>) -> String {
    match version {
        Some(version) => format!("{version} (drumline {DRUMLINE_VERSION})"),
        None if program == OWN_BINARY => DRUMLINE_VERSION.to_owned(),
        None => format!("(drumline {DRUMLINE_VERSION})"),
    }
}

/// Writes the binary's name into the help texts of a command and of all its subcommands.
fn with_name(mut command: Command, program: &str) -> Command {
    let named = |text: &clap::builder::StyledStr| text.ansi().to_string().replace(PROGRAM, program);
    if let Some(text) = command.get_after_help().map(named) {
        command = command.after_help(text);
    }
    if let Some(text) = command.get_after_long_help().map(named) {
        command = command.after_long_help(text);
    }
    command.mut_subcommands(|command| with_name(command, program))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Collects the help of a command and of all its subcommands.
    fn help(command: &mut Command, all: &mut Vec<String>) {
        command.build();
        all.push(command.render_long_help().to_string());
        for command in command.get_subcommands_mut() {
            help(command, all);
        }
    }

    fn help_of(program: &str) -> String {
        let mut all = Vec::new();
        help(&mut CommandLine::of(program, None), &mut all);
        all.join("\n")
    }

    #[test]
    fn the_command_line_is_sound() {
        CommandLine::of("orders", Some("1.4.2")).debug_assert();
    }

    #[test]
    fn help_names_the_services_own_binary() {
        let (text, own) = (help_of("orders"), help_of("drumline"));
        assert!(!text.contains(PROGRAM) && !own.contains(PROGRAM));
        for command in ["run", "send", "jobs", "ctl", "dlq", "outbox", "config", "status", "health"] {
            assert!(text.contains(&format!("Usage: orders {command}")), "{command} in\n{text}");
            assert!(own.contains(&format!("Usage: drumline {command}")), "{command}");
        }
        assert!(text.contains("\n  orders send --queue-url URL --type email.send"), "{text}");
        // Folders, files, a crate, another binary and metrics.
        let foreign = [
            "drumline-dev",
            "drumline=debug",
            "../drumline",
            "drumline-lambda",
            "drumline/dlq",
            "drumline/send",
            "drumline_jobs.py",
            "drumline-jobs.ts",
            "drumlineDeadLetters",
            "drumline_outbox_",
            "drumline.toml",
            "drumline_job_dwell_seconds",
            "drumline_sqs_dollars_per_million_jobs",
        ];
        let others = foreign.iter().fold(text, |text, name| text.replace(name, ""));
        let line = others.lines().find(|line| line.contains("drumline"));
        assert_eq!(line, None);
    }

    /// Visits each command with its full name, except clap's own `help`.
    fn each(command: &Command, name: &str, look: &mut impl FnMut(&str, &Command)) {
        look(name, command);
        for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
            each(command, &format!("{name} {}", command.get_name()), look);
        }
    }

    #[test]
    fn short_help_fits_a_screen_and_long_help_is_complete() {
        let mut command = CommandLine::of("drumline", None).term_width(80);
        command.build();
        each(&command, "drumline", &mut |name, command| {
            let (short, long) =
                (command.clone().render_help().to_string(), command.clone().render_long_help().to_string());
            let lines = short.lines().count();
            assert!(lines <= 40, "{name} -h has {lines} lines:\n{short}");
            assert!(short.lines().all(|line| line.chars().count() <= 80), "{name} -h is too wide:\n{short}");
            assert!(long.contains("\nExamples:\n"), "{name} --help has no examples:\n{long}");
            assert!(long.contains("\nExit status: 0 "), "{name} --help has no exit statuses:\n{long}");
        });
    }

    #[test]
    fn run_hides_the_settings_of_functions_but_accepts_them() {
        let mut command = CommandLine::of("drumline", None);
        command.build();
        let help = command.find_subcommand("run").unwrap().clone().render_long_help().to_string();
        assert!(help.contains("--shutdown-grace") && !help.contains("--deadline-margin"), "{help}");
        assert!(command.try_get_matches_from(["drumline", "run", "--deadline-margin", "2s"]).is_ok());
    }

    #[test]
    fn the_version_is_the_services_own_with_that_of_drumline() {
        let table = [
            ("orders", Some("1.4.2"), format!("orders 1.4.2 (drumline {DRUMLINE_VERSION})\n")),
            ("orders", None, format!("orders (drumline {DRUMLINE_VERSION})\n")),
            ("drumline", None, format!("drumline {DRUMLINE_VERSION}\n")),
        ];
        for (program, version, expected) in table {
            let command = CommandLine::of(program, version);
            let shown = command.try_get_matches_from([program, "--version"]).unwrap_err();
            assert_eq!(shown.to_string(), expected);
        }
    }

    #[test]
    fn errors_of_usage_name_the_services_own_binary() {
        let command = CommandLine::of("orders", Some("1.4.2"));
        let error =
            command.try_get_matches_from(["/srv/other", "run", "--concurency", "3"]).unwrap_err().to_string();
        assert!(error.contains("Usage: orders run"), "{error}");
    }
}
