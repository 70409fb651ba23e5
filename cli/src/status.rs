//! `drumline status`: what a consumer on this machine does, or why it runs nothing.

use std::io::Write;
use std::process::ExitCode;

use drumline_consumer::ExitError;
use drumline_runtime::Environment;
use serde::Serialize;

use crate::format::one_line;
use crate::job_lookup::HistorySettings;
use crate::output::{Output, print};
use crate::own_endpoint;
use crate::settings_args::SettingsArgs;

const PATH: &str = "/readyz?verbose";

/// Reports what a consumer does, or why it runs no job
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
The command sends a request to DRUMLINE_HTTP_ADDR, the address of the HTTP endpoint that `run` serves. The answer quotes an operator's \
name and reason, and error texts of AWS, only for clients that may read about jobs: on the loopback interface, or with \
DRUMLINE_HTTP_TOKEN.

Examples:
  {program} status
  {program} status --output json | jq -r .activity

Exit status: 0 the consumer is ready, 1 it is not ready, 69 it does not answer, 64 it serves no HTTP endpoint.")]
pub(crate) struct StatusArgs {
    /// Text for people, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    settings: SettingsArgs<HistorySettings>,
}

/// The answer of a consumer.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Status {
    ready: bool,
    /// The state as `/readyz` shows it.
    state: String,
    /// Its activity, or the reason why it runs no job.
    activity: String,
}

impl Status {
    /// Reads the two lines of the answer; `None` if it is not that of a consumer.
    fn read(ready: bool, body: &str) -> Option<Self> {
        let (state, activity) = body.trim().split_once('\n')?;
        Some(Self { ready, state: one_line(state), activity: one_line(activity) })
    }
}

pub(crate) fn status(args: &StatusArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let settings = args.settings.read_for_tool(environment)?;
    let addr = settings
        .http_addr
        .ok_or_else(|| ExitError::usage("DRUMLINE_HTTP_ADDR is off, so there is nothing to ask"))?;
    let answer = own_endpoint::get(addr, PATH, settings.http_access.token.as_ref())
        .map_err(|error| ExitError::unavailable(format!("http://{addr}{PATH} does not answer: {error}")))?;
    let status =
        Status::read(answer.is_ok(), &answer.body).filter(|_| matches!(answer.status(), Some(200 | 503)));
    let status = status.ok_or_else(|| {
        ExitError::unavailable(format!(
            "http://{addr} does not answer as a worker of this version does ({}): is it another program's address?",
            answer.status_line
        ))
    })?;
    print(|out| match args.output {
        Output::Table => writeln!(out, "{}\n{}", status.state, status.activity),
        Output::Json => out.json_line(&status),
    })?;
    Ok(if status.ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_two_lines_without_control_characters() {
        let body = "ready\nnothing is running: jobs is paused by an operator (a\u{1b}[31m)\n";
        let status = Status::read(true, body).map(|status| (status.state, status.activity));
        let (state, activity) = status.unwrap_or_default();
        assert_eq!(state, "ready");
        assert!(
            activity.starts_with("nothing is running: jobs") && !activity.contains('\u{1b}'),
            "{activity}"
        );
        assert_eq!(Status::read(true, "ready\n"), None, "an older worker");
    }
}
