//! The `drumline` binary: the sample jobs of this repository with the consumer.

use std::path::Path;
use std::process::ExitCode;

use drumline::Router;
use drumline_cli::{App, DevJob};
use drumline_consumer::variable;
use drumline_jobs::{Settings, VARIABLES, router_if_enabled, samples};

/// Jobs move between threads, and so does their memory: one thread frees what another has allocated. The system's allocator is
/// slow in this case. See docs/benchmark.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let app = App::new(|| router_if_enabled(setting))
        .known_variables(VARIABLES)
        .dev(prepare)
        .dev_function(samples::variables);
    #[cfg(feature = "demo")]
    let app = app.dev_example(
        "email.send",
        [
            r#"{"deliveryId":"d1","templateId":"welcome","userId":"ada"}"#,
            r#"{"deliveryId":"d2","templateId":"welcome","userId":"ada"}"#,
        ],
    );
    app.dev_example("sample.flaky", [r#"{"succeedsAt":2}"#, r#"{"succeedsAt":1}"#]).main()
}

fn prepare(folder: &Path) -> Result<(Router, Vec<DevJob>), String> {
    let jobs = samples::prepare(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let jobs = jobs.into_iter().map(|job| DevJob { label: job.label, body: job.body, outputs: job.outputs });
    Ok((samples::router(&Settings::for_folder(folder)), jobs.collect()))
}

/// Returns a setting of the jobs. A flag may name the settings file, which must be different from the jobs' files in any case.
fn setting(name: &str) -> Option<String> {
    let by_flag = if name == "DRUMLINE_CONFIG" { config_flag(std::env::args()) } else { None };
    by_flag.or_else(|| variable(name))
}

fn config_flag(mut args: impl Iterator<Item = String>) -> Option<String> {
    while let Some(arg) = args.next() {
        if arg == "--config" {
            return args.next();
        }
        if let Some(path) = arg.strip_prefix("--config=") {
            return Some(path.to_owned());
        }
    }
    None
}
