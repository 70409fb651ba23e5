//! The service as a Lambda function.

use std::process::ExitCode;

fn main() -> ExitCode {
    drumline_lambda::App::new(service::router).main()
}
