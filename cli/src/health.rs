//! `drumline health`: asks a consumer on this machine for its health, for images without a shell and `curl`.

use std::io::Write;
use std::process::ExitCode;

use drumline_consumer::ExitError;
use drumline_runtime::Environment;

use crate::output::print;
use crate::own_endpoint;

/// Asks a consumer on this machine if it is alive, for a container's health check
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
The command sends a request to DRUMLINE_HTTP_ADDR, the address of the HTTP endpoint that `run` serves.

Examples:
  {program} health
  {program} health --ready --http-addr 10.0.3.7:9464
  \"healthCheck\": {\"command\": [\"CMD\", \"/usr/local/bin/{program}\", \"health\"]}      (in an ECS task definition)

Exit status: 0 the consumer is alive (or ready), 69 it is not, or does not answer, 64 it serves no HTTP endpoint.")]
pub(crate) struct HealthArgs {
    /// Ask if the consumer is ready, not only alive
    ///
    /// The consumer is ready if it can reach every queue and does not drain. Use this flag for load balancers and
    /// roll-outs. Do not use it for a check that restarts the consumer, because a restart does not make a queue reachable.
    #[arg(long)]
    ready: bool,
    #[arg(
        long,
        value_name = "ADDRESS",
        help = "The consumer's address [env: DRUMLINE_HTTP_ADDR] [default: 127.0.0.1:9464]"
    )]
    http_addr: Option<String>,
}

pub(crate) fn health(args: &HealthArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let addr = match &args.http_addr {
        Some(addr) => {
            addr.parse().map_err(|error| ExitError::usage(format!("--http-addr {addr:?}: {error}")))?
        }
        // The queues may have been set on the command line of `run`, so this command needs none.
        None => environment
            .settings_of_function()
            .map_err(|problems| ExitError::usage(problems.to_string()))?
            .http_addr
            .ok_or_else(|| ExitError::usage("DRUMLINE_HTTP_ADDR is off, so there is nothing to ask"))?,
    };
    let path = if args.ready { "/readyz" } else { "/livez" };
    let answer = own_endpoint::get(addr, path, None)
        .map_err(|error| ExitError::unavailable(format!("http://{addr}{path} does not answer: {error}")))?;
    if answer.is_ok() {
        print(|out| writeln!(out, "{}", answer.body.trim()))?;
        Ok(ExitCode::SUCCESS)
    } else {
        let problem = format!("http://{addr}{path}: {} ({})", answer.body.trim(), answer.status_line);
        Err(ExitError::unavailable(problem))
    }
}
