//! The service as a Lambda function.

use std::process::ExitCode;

fn main() -> ExitCode {
    drumline_lambda::App::new(|| Ok(service::router())).main()
}
