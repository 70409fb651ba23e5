#![doc = include_str!("../README.md")]
#![allow(clippy::print_stdout, reason = "a terminal tool: its messages are its output")]
#![allow(clippy::disallowed_methods, reason = "a terminal tool has no settings: it hands its environment on")]

mod against;
mod collector;
mod cores;
mod faults;
mod figures;
mod flow;
mod idle;
mod in_hand;
mod inserting;
mod lambda;
mod latency;
mod machine;
mod output;
mod overhead;
mod profile;
mod programs;
mod queue;
mod relaying;
mod report;
mod rounds;
mod sending;
mod soak;
mod start_up;
mod tables;
mod usage;
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::status;

/// Measure what the runtime costs beside a bare loop over AWS's SDK
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    overhead: overhead::Options,
}

/// What else can be measured.
#[derive(Subcommand)]
enum Other {
    /// Measure what the Lambda function costs beside one that only decodes the event
    Lambda(lambda::Options),
    /// Measure this build of the consumer beside another one, such as an earlier commit's
    Against(against::Options),
    /// Measure a worker under faults: of SQS, of the store, of dependencies, of processes
    Faults(faults::Options),
    /// Measure rows that jobs insert into PostgreSQL, one by one and in batches
    Inserting(inserting::Options),
    /// Simulate how queues with weights share the slots of a process
    Flow(flow::Options),
    /// Show which layers of the worker a message's processor time goes to
    Profile(profile::Options),
    /// Measure what an outbox in PostgreSQL costs beside sending the same messages directly
    Relaying(relaying::Options),
    /// Measure what sending costs, in the background and one by one, and how long messages wait
    Sending(sending::Options),
    /// Run workers for hours under alternating faults, and watch their memory and descriptors
    Soak(soak::Options),
}

fn main() -> ExitCode {
    let Arguments { other, overhead } = Arguments::parse();
    status::of(match other {
        None => overhead::run(&overhead),
        Some(Other::Lambda(options)) => lambda::run(&options),
        Some(Other::Against(options)) => against::run(&options),
        Some(Other::Faults(options)) => faults::run(&options),
        Some(Other::Inserting(options)) => inserting::run(&options),
        Some(Other::Flow(options)) => flow::run(&options),
        Some(Other::Profile(options)) => profile::run(&options),
        Some(Other::Relaying(options)) => relaying::run(&options),
        Some(Other::Sending(options)) => sending::run(&options),
        Some(Other::Soak(options)) => soak::run(&options),
    })
}
