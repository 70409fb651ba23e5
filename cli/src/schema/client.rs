//! `drumline schema client`: prints a client that sends jobs from another language, as one file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use drumline_consumer::ExitError;
use drumline_contract::clients;
use drumline_runtime::Service;

use super::document::{contract_of, read, write_document};
use crate::format::note;

/// Prints a client for Python or TypeScript: one file with the job types, for a program that sends jobs
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Copy the file into the program that sends the jobs. It needs only AWS's SDK. The file contains a class or type for each job type and \
version. It checks payloads by their schemas and by the guards against secrets and personal data, sends jobs in batches, and retries \
failed entries. If a job is not sent, the client reports an error that names the job.

Python: 3.9 or newer, with boto3. TypeScript: Node.js 20 or newer, with @aws-sdk/client-sqs.

Examples:
  {program} schema client python --output drumline_jobs.py
  {program} schema client typescript contract.json > drumline-jobs.ts

Exit status: 0 printed, 64 there are no job types, or the document is not a contract, 1 any other error.")]
pub(crate) struct ClientArgs {
    /// The language of the client
    language: Language,
    /// The contract, as `schema` prints it; - for standard input [default: this program's own]
    contract: Option<PathBuf>,
    /// The file to write instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The languages of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    Python,
    #[value(name = "typescript")]
    TypeScript,
}

impl Language {
    fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::TypeScript => "typescript",
        }
    }
}

pub(super) fn client(args: &ClientArgs, service: Service) -> Result<ExitCode, ExitError> {
    let contract = match &args.contract {
        Some(path) => read(path)?,
        None => contract_of(service, None)?,
    };
    let language = match args.language {
        Language::Python => clients::Language::Python,
        Language::TypeScript => clients::Language::TypeScript,
    };
    let client =
        language.client(&contract, &args.command()).map_err(|error| ExitError::usage(error.to_string()))?;
    for unchecked in &client.unchecked {
        note(&format!("the client does not check {unchecked}; a producer in Rust does"));
    }
    write_document(&client.text, args.output.as_deref())?;
    Ok(ExitCode::SUCCESS)
}

impl ClientArgs {
    /// Returns the command that generates the same file, on one line.
    fn command(&self) -> String {
        let mut words = vec!["schema client".to_owned(), self.language.name().to_owned()];
        words.extend(self.contract.as_ref().map(|path| path.display().to_string()));
        words.extend(self.output.as_ref().map(|path| format!("--output {}", path.display())));
        format!("drumline {}", words.join(" ")).replace(char::is_control, " ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_names_the_command() {
        let args = |contract: Option<&str>, output: Option<&str>| ClientArgs {
            language: Language::TypeScript,
            contract: contract.map(PathBuf::from),
            output: output.map(PathBuf::from),
        };
        assert_eq!(args(None, None).command(), "drumline schema client typescript");
        assert_eq!(
            args(Some("contract.json"), Some("a\nb.ts")).command(),
            "drumline schema client typescript contract.json --output a b.ts"
        );
    }
}
