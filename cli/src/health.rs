//! `drumline health`: asks a consumer on this machine how it is, for images that have no shell and no `curl`.

use std::io::Write;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use drumline_runtime::Environment;

use super::exit::Failed;
use super::own_endpoint;

pub(super) fn command() -> Command {
    Command::new("health")
        .about("Asks a consumer on this machine whether it is alive, for a container's health check")
        .after_help(
            "It asks where DRUMLINE_HTTP_ADDR says, as `run` serves it.\n\
             In an ECS task definition: \"healthCheck\": {\"command\": [\"CMD\", \"/usr/local/bin/drumline\", \"health\"]}\n\
             Exit status: 0 where it is, 69 where not, 64 where it serves no HTTP endpoint.",
        )
        .arg(Arg::new("ready").long("ready").action(ArgAction::SetTrue).help(
            "Ask whether it is ready instead: every queue can be reached, and it does not drain. For load balancers and \
             roll-outs, not for a check that restarts it: a restart mends no queue",
        ))
        .arg(Arg::new("http_addr").long("http-addr").value_name("ADDRESS").help(
            "Where the consumer serves, where not at what DRUMLINE_HTTP_ADDR says [default: 127.0.0.1:9464]",
        ))
}

pub(super) fn health(args: &ArgMatches, environment: &Environment) -> Result<ExitCode, Failed> {
    let addr = match args.get_one::<String>("http_addr") {
        Some(addr) => {
            addr.parse().map_err(|error| Failed::usage(format!("--http-addr {addr:?}: {error}")))?
        }
        // The queues may have been given to `run` on its command line, so none need be known here.
        None => environment
            .settings_of_function()
            .map_err(|problems| Failed::usage(problems.to_string()))?
            .http_addr
            .ok_or_else(|| Failed::usage("DRUMLINE_HTTP_ADDR is off, so there is nothing to ask"))?,
    };
    let path = if args.get_flag("ready") { "/readyz" } else { "/livez" };
    let answer = own_endpoint::get(addr, path, None)
        .map_err(|error| Failed::unavailable(format!("http://{addr}{path} does not answer: {error}")))?;
    if answer.is_ok() {
        writeln!(std::io::stdout().lock(), "{}", answer.body.trim())?;
        Ok(ExitCode::SUCCESS)
    } else {
        let problem = format!("http://{addr}{path}: {} ({})", answer.body.trim(), answer.status_line);
        Err(Failed::unavailable(problem))
    }
}
