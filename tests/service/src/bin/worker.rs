//! The service as a long-polling worker.

use std::process::ExitCode;

fn main() -> ExitCode {
    drumline_consumer::run(service::router)
}
