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
mod layers;
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
mod slices;
mod soak;
mod start_up;
mod tables;
mod usage;
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::status;

/// Measure the cost of the runtime in comparison with a bare loop over AWS's SDK
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    overhead: overhead::Options,
}

/// The other measurements.
#[derive(Subcommand)]
enum Other {
    /// Measure the cost of the Lambda function in comparison with one that only decodes the event
    Lambda(lambda::Options),
    /// Compare this build of the consumer with another one, such as an earlier commit's
    Against(against::Options),
    /// Measure a worker under faults: of SQS, of the store, of dependencies, of processes
    Faults(faults::Options),
    /// Measure jobs that insert rows into PostgreSQL, one by one and in batches
    Inserting(inserting::Options),
    /// Simulate how queues with weights share the slots of a process
    Flow(flow::Options),
    /// Measure the cost of each layer of observation: logs, metrics, traces
    Layers(layers::Options),
    /// Show the layers of the worker in which a message's processor time is spent
    Profile(profile::Options),
    /// Measure the cost of an outbox in PostgreSQL in comparison with sending the same messages directly
    Relaying(relaying::Options),
    /// Measure the cost of sending, in the background and one by one, and how long messages wait
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
        Some(Other::Layers(options)) => layers::run(&options),
        Some(Other::Profile(options)) => profile::run(&options),
        Some(Other::Relaying(options)) => relaying::run(&options),
        Some(Other::Sending(options)) => sending::run(&options),
        Some(Other::Soak(options)) => soak::run(&options),
    })
}
