//! The `drumline-lambda` binary: this repository's own jobs as a Lambda function. Packaged as `bootstrap`.

use std::process::ExitCode;

use drumline_jobs::{Settings, router};
use drumline_lambda::App;

fn main() -> ExitCode {
    App::new(|| {
        let settings = Settings::from_lookup(|name| std::env::var(name).ok());
        settings.map(|settings| router(&settings)).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            problems.join("\n  ")
        })
    })
    .main()
}
