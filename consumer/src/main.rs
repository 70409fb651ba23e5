//! The `drumline` binary: this repository's own jobs under the consumer.

use std::process::ExitCode;

use drumline_consumer::{App, DevJob, variable};
use drumline_jobs::{Settings, VARIABLES, router_if_enabled, samples};

/// Jobs cross between threads, and so does the memory they are made of: what one thread allocates another frees. The
/// system's allocator is slow at just that. See docs/benchmark.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    App::new(|| router_if_enabled(variable))
        .known_variables(VARIABLES)
        .dev(|folder| {
            let jobs = samples::prepare(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            let jobs =
                jobs.into_iter().map(|job| DevJob { label: job.label, body: job.body, outputs: job.outputs });
            Ok((samples::router(&Settings::for_folder(folder)), jobs.collect()))
        })
        .main()
}
