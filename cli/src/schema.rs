//! `drumline schema`: prints the contract between this program's job types and their senders.

mod asyncapi;
mod check;
mod client;
mod document;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use drumline_consumer::ExitError;
use drumline_runtime::{Environment, Service, program};

use crate::settings_args::{Choice, SettingsArgs};
use check::CheckArgs;
use client::ClientArgs;
use document::{contract_of, write_document};

/// Prints the contract of this program's job types: their versions and JSON Schemas
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "\
The contract lists each job type with the version that producers write, the versions that workers read, and the JSON Schema of each \
version's payload. A version has a schema if the job's code defines `Job::schema`. Commit the contract, and let CI check each change of \
it.

Examples:
  {program} schema > contract.json
  {program} schema check contract.json <({program} schema)
  {program} schema --type email.send
  {program} schema --format asyncapi --queue-url URL --output asyncapi.json

Exit status: 0 printed, 64 the program has no handlers, or none of this type, or bad settings, 141 the reader of the output closed it, 1 \
any other error."
)]
pub(crate) struct SchemaArgs {
    #[command(subcommand)]
    command: Option<SchemaCommand>,
    /// The format of the document
    #[arg(long, value_enum, default_value_t = Format::JsonSchema)]
    format: Format,
    /// Only this job type
    #[arg(long = "type", value_name = "TYPE")]
    job_type: Option<String>,
    /// The file to write instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
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

/// The formats of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The contract: each type with its versions and their JSON Schemas
    JsonSchema,
    /// An AsyncAPI 3.0 document: the queues of the settings as channels, with a message for each version
    Asyncapi,
}

/// Runs the command. `version` is the version of the service.
pub(crate) fn schema(
    args: &SchemaArgs,
    environment: &Environment,
    service: Service,
    version: Option<&str>,
) -> Result<ExitCode, ExitError> {
    match &args.command {
        Some(SchemaCommand::Check(args)) => check::check(args),
        Some(SchemaCommand::Client(args)) => client::client(args, service),
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
            serde_json::to_string_pretty(&drumline_contract::asyncapi::document(
                &contract,
                program(),
                version,
                &queues,
            ))
        }
    };
    let document = document.map_err(|error| ExitError::other(error.to_string()))?;
    write_document(&format!("{document}\n"), args.output.as_deref())?;
    Ok(ExitCode::SUCCESS)
}
