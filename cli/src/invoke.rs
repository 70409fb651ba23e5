//! `drumline invoke`: runs a Lambda function on this machine and invokes it with events from files.

mod stand_in;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use drumline_consumer::{ExitError, Signals, variable};
use drumline_lambda_local::{ExecutionEnvironment, Invoked, LogSink};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::format::note;
use crate::function_args::FunctionArgs;
use crate::output::print;

/// The event argument that means standard input.
const STDIN: &str = "-";

/// Invokes a Lambda function on this machine: starts its bootstrap, passes events, and prints the responses
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
The command gives the bootstrap Lambda's Runtime API and environment variables, in addition to its own environment. The first invocation \
starts the bootstrap; further invocations are warm. If an invocation exceeds the timeout, the command kills the process, as Lambda does. \
If there are no AWS credentials, the function receives fake ones, and the command answers the function's requests to SQS as if all queues \
were empty. The command prints responses to standard output, and logs and a REPORT line to standard error.

Examples:
  {program} invoke event.json --bootstrap target/debug/my-function --env DRUMLINE_LOG=debug
  cat event.json | {program} invoke - --bootstrap ./bootstrap --timeout 3s | jq .batchItemFailures
  {program} invoke a.json b.json --repeat 100 --bootstrap ./bootstrap --output json

Exit status: 0 the function answered every invocation, 64 an event that is not JSON, a missing file, or a bootstrap that is not \
executable, 1 the function returned an error, timed out or crashed.")]
pub(crate) struct InvokeArgs {
    /// Files with one event each, as JSON; `-` reads standard input
    #[arg(required = true, value_name = "EVENT.json|-")]
    events: Vec<PathBuf>,
    /// The function's program, which Lambda calls bootstrap
    #[arg(long = "bootstrap", id = "function", value_name = "PATH")]
    bootstrap: PathBuf,
    #[command(flatten)]
    function: FunctionArgs,
    /// The timeout of an invocation, up to 15m
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = crate::function_args::timeout)]
    timeout: Duration,
    /// The number of times that each event is passed to the function, in one process
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Format of the output: unchanged responses, or one JSON object per invocation with its duration and errors
    #[arg(long, value_enum, default_value_t = Format::Response)]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Response,
    Json,
}

/// One event and the name of its file.
struct Event {
    name: String,
    json: Vec<u8>,
}

pub(crate) fn invoke(args: &InvokeArgs) -> Result<ExitCode, ExitError> {
    let function = args.function.function(&args.bootstrap).timeout(args.timeout).inherit(variable);
    let function = args.function.with_variables(function).logs(log()).reports(log());
    function.check().map_err(|problem| ExitError::usage(problem.to_string()))?;
    let events: Vec<Event> = args.events.iter().map(read).collect::<Result<_, _>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let signals = Signals::catch()?;
        let is_set = |name: &str| variable(name).is_some() || args.function.sets(name);
        let (function, _server) =
            stand_in::serve(function, is_set, events.iter().map(|event| &*event.json)).await?;
        let mut stop = std::pin::pin!(signals.first());
        let mut environment = ExecutionEnvironment::new(Arc::new(function));
        let mut all_answered = true;
        for event in events.iter().flat_map(|event| (0..args.repeat).map(move |_| event)) {
            // A cancelled invocation leaves its process running, so it is stopped here.
            let invoked = tokio::select! {
                invoked = environment.invoke(event.json.clone()) => invoked,
                () = &mut stop => {
                    environment.stop().await;
                    return Err(ExitError::other("interrupted: the function is stopped"));
                }
            };
            all_answered &= invoked.result.is_ok();
            if let Err(failure) = &invoked.result {
                note(&format!("{}: {failure}", event.name));
            }
            if let Err(error) = show(args.output, event, &invoked) {
                environment.stop().await;
                return Err(error);
            }
        }
        environment.stop().await;
        Ok(if all_answered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// Reads an event, which must be JSON: Lambda accepts nothing else.
fn read(path: &PathBuf) -> Result<Event, ExitError> {
    let is_stdin = path.as_os_str() == STDIN;
    let name = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
    let json = if is_stdin {
        let mut json = Vec::new();
        std::io::stdin().lock().read_to_end(&mut json).map(|_| json)
    } else {
        std::fs::read(path)
    };
    let json = json.map_err(|error| ExitError::usage(format!("{name}: {error}")))?;
    match serde_json::from_slice::<IgnoredAny>(&json) {
        Ok(_) => Ok(Event { name, json }),
        Err(error) => Err(ExitError::usage(format!("{name} is not JSON: {error}"))),
    }
}

fn show(format: Format, event: &Event, invoked: &Invoked) -> Result<(), ExitError> {
    match (format, &invoked.result) {
        (Format::Response, Ok(response)) => print(|out| {
            out.write_all(response)?;
            out.write_all(b"\n")
        }),
        (Format::Response, Err(_)) => Ok(()),
        (Format::Json, _) => print(|out| out.json_line(&row(event, invoked))),
    }
}

fn row(event: &Event, invoked: &Invoked) -> Value {
    let millis = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
    let (status, response, error) = match &invoked.result {
        // A runtime may respond with any text.
        Ok(response) => match serde_json::from_slice::<&RawValue>(response) {
            Ok(response) => ("answered", json!(response), Value::Null),
            Err(_) => ("answered", json!(String::from_utf8_lossy(response)), Value::Null),
        },
        Err(failure) => {
            let error = json!({ "type": failure.error_type, "message": failure.message });
            (failure.kind.label(), Value::Null, error)
        }
    };
    json!({
        "event": event.name,
        "requestId": invoked.request_id,
        "status": status,
        "response": response,
        "error": error,
        "durationMs": millis(invoked.duration),
        "initDurationMs": invoked.init.map(millis),
        "maxMemoryMb": invoked.max_memory_mb,
    })
}

/// Passes lines to standard error unchanged.
fn log() -> LogSink {
    LogSink::new(|line| {
        // If standard error is closed, there is no reader for the logs.
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    })
}
