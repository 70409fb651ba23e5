//! The `drumline-lambda` binary: this repository's own jobs as a Lambda function. Packaged as `bootstrap`.

use std::process::ExitCode;

use drumline_jobs::{VARIABLES, router_if_enabled};
use drumline_lambda::{App, variable};

fn main() -> ExitCode {
    App::new(|| router_if_enabled(variable)).known_variables(VARIABLES).main()
}
