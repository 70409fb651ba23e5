//! The same handlers as an SQS-triggered Lambda function.

use std::process::ExitCode;

use drumline_lambda::App;

use my_service::router;

fn main() -> ExitCode {
    App::new(router).main()
}
