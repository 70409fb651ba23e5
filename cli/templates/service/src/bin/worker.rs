//! The long-polling worker, with its command line.

use std::process::ExitCode;

use drumline_cli::App;

use my_service::router;

fn main() -> ExitCode {
    App::new(router)
        .version(env!("CARGO_PKG_VERSION"))
        // The job that `dev` shows how to send.
        .dev_example(
            "mail.welcome",
            [
                r#"{"user_id":1,"name":"Ada"}"#,
                r#"{"user_id":2,"name":"Grace"}"#,
            ],
        )
        .main()
}
