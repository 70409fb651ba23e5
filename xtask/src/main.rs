//! Drumline's development tasks: `cargo xtask COMMAND`. There is one module per command; the library contains the shared code.
#![allow(clippy::print_stdout, reason = "a terminal tool: its messages are its output")]
#![allow(clippy::disallowed_methods, reason = "a terminal tool has no settings: it hands its environment on")]

mod aws_smoke;
mod bench;
mod check;
mod deps;
mod docs;
mod infra;
mod localstack;
mod package_lambda;
mod peers;
mod sbom;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use xtask::status;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Drumline's development tasks")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the services for the tests, run the tests, and stop the services
    Test(test::Options),
    /// Run LocalStack in the foreground until Ctrl-C
    Localstack(localstack::Options),
    /// Run the servers of shared stores in the foreground until Ctrl-C
    Peers(peers::Options),
    /// Measure the cost of the runtime in comparison with a bare loop over AWS's SDK
    Bench(bench::Options),
    /// Test the worker in a real AWS account: creates two queues, uses them and deletes them (never run by CI)
    AwsSmoke(aws_smoke::Options),
    /// Build the Lambda function as zip files to upload
    PackageLambda(package_lambda::Options),
    /// Run everything that CI runs
    Check,
    /// Check links and words of the documentation, and build the book
    Docs(docs::Options),
    /// Check the templates of infra/ with cfn-lint and Terraform
    Infra,
    /// Check the dependencies of the crates: purity, licences, sources, and advisories if the network allows it
    Deps,
    /// Print the components of a program as a `CycloneDX` document
    Sbom(sbom::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Test(options) => test::run(&options),
        Command::Localstack(options) => localstack::run(&options),
        Command::Peers(options) => peers::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::AwsSmoke(options) => aws_smoke::run(&options),
        Command::PackageLambda(options) => package_lambda::run(&options),
        Command::Check => check::run(),
        Command::Docs(options) => docs::run(&options),
        Command::Infra => infra::run(),
        Command::Deps => deps::run(),
        Command::Sbom(options) => sbom::run(&options),
    };
    status::of(result)
}
