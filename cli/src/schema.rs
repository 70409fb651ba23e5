//! `drumline schema`: the contract of this program's job types with those that send them.

mod asyncapi;
mod check;
mod client;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use drumline_consumer::ExitError;
use drumline_contract::Contract;
use drumline_contract::asyncapi::document;
use drumline_runtime::{Environment, Service, program, runtimes};

use crate::output::print;
use crate::service::make_router;
use crate::settings_args::{Choice, SettingsArgs};
use check::CheckArgs;
use client::ClientArgs;

/// Prints the contract of this program's job types: their versions and JSON Schemas
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "\
The contract has each type with the version that producers write, the versions that workers read, and the schema of each version's \
payload. A version has a schema if its code has one: `Job::schema`. Commit the contract, and let CI check each change of it.

Examples:
  {program} schema > contract.json
  {program} schema check contract.json <({program} schema)
  {program} schema --type email.send
  {program} schema --format asyncapi --queue-url URL > asyncapi.json

Exit status: 0 printed, 64 there are no handlers, none of this type, or bad settings, 141 the reader of the output has left, \
1 anything else."
)]
pub(crate) struct SchemaArgs {
    #[command(subcommand)]
    command: Option<SchemaCommand>,
    /// The document
    #[arg(long, value_enum, default_value_t = Format::JsonSchema)]
    format: Format,
    /// Only this job type
    #[arg(long = "type", value_name = "TYPE")]
    job_type: Option<String>,
    #[command(flatten)]
    settings: SettingsArgs<Queues>,
}

/// The queues that are the channels of an AsyncAPI document.
#[derive(Debug)]
enum Queues {}

impl Choice for Queues {
    fn includes(key: &str) -> bool {
        key == "queue_url"
    }
}

#[derive(Debug, Subcommand)]
enum SchemaCommand {
    Check(CheckArgs),
    Client(ClientArgs),
}

/// The documents that describe the job types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The contract: each type with its versions and their JSON Schemas
    JsonSchema,
    /// An AsyncAPI 3.0 document: the queues of the settings as channels, a message for each version
    Asyncapi,
}

/// Runs the command. `version` is that of the service.
pub(crate) fn schema(
    args: &SchemaArgs,
    environment: &Environment,
    service: Service,
    version: Option<&str>,
) -> Result<ExitCode, ExitError> {
    match &args.command {
        Some(SchemaCommand::Check(args)) => check::check(args),
        None => show(args, environment, service, version),
    }
}

fn show(
    args: &SchemaArgs,
    environment: &Environment,
    service: Service,
    version: Option<&str>,
) -> Result<ExitCode, ExitError> {
    let document = match args.format {
        Format::JsonSchema => serde_json::to_string_pretty(&contract_of(service, args.job_type.as_deref())?),
        Format::Asyncapi => {
            let settings = args.settings.read_for_tool(environment)?;
            let contract = contract_of(service, args.job_type.as_deref())?;
            let types: Vec<&str> = contract.types().iter().map(|of| &*of.name).collect();
            let queues = asyncapi::queues(&settings, &types);
            let version = version.unwrap_or(env!("CARGO_PKG_VERSION"));
            serde_json::to_string_pretty(&document(&contract, program(), version, &queues))
        }
    };
    let document = document.map_err(|error| ExitError::other(error.to_string()))?;
    print(|out| writeln!(out, "{document}"))?;
    Ok(ExitCode::SUCCESS)
}

/// Makes the program's router and returns the contract of its handlers, or of the one of `job_type`.
///
/// # Errors
/// If there are no handlers, or none of the type.
pub(crate) fn contract_of(service: Service, job_type: Option<&str>) -> Result<Contract, ExitError> {
    let (io, handlers) = runtimes()?;
    let router = io.block_on(make_router(service, handlers.handle()));
    handlers.shutdown_background();
    let router = router
        .map_err(|problem| ExitError::usage(format!("there are no handlers to describe: {problem}")))?;
    router.check().map_err(|error| ExitError::usage(error.to_string()))?;
    let contract = Contract::of(&router);
    match job_type {
        None => Ok(contract),
        Some(name) => contract.only(name).ok_or_else(|| {
            let known: Vec<&str> = contract.types().iter().map(|of| &*of.name).collect();
            ExitError::usage(format!(
                "there is no handler for type {name:?}; there are handlers for {}",
                known.join(", ")
            ))
        }),
    }
}
