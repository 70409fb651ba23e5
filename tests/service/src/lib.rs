//! The jobs of a service, and their handlers.

use drumline::{Context, Failure, Job, Router};

/// A greeting to somebody.
#[derive(serde::Deserialize)]
pub struct Greet {
    name: String,
}

impl Job for Greet {
    const TYPE: &'static str = "greet";
}

async fn greet(_context: Context, job: Greet) -> Result<(), Failure> {
    println!("Hello, {}!", job.name);
    Ok(())
}

/// The handlers, for either host.
pub fn router() -> Router {
    Router::new().handle(greet)
}
