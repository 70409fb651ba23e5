use drumline::{Context, Failure, Job, Router};

#[derive(serde::Deserialize)]
struct Welcome {}

impl Job for Welcome {
    const TYPE: &'static str = "welcome";
}

enum MailError { Refused }

fn send() -> Result<(), MailError> {
    Err(MailError::Refused)
}

async fn welcome(_: Context, _: Welcome) -> Result<(), Failure> {
    send()?;
    Ok(())
}

fn main() {
    Router::new().handle(welcome);
}
