use drumline::{Context, Failure, Job, Router};

#[derive(serde::Deserialize)]
struct Welcome {}

impl Job for Welcome {
    const TYPE: &'static str = "welcome";
}

struct Pool;

async fn welcome(_: Context, _: Welcome, _: Pool) -> Result<(), Failure> {
    Ok(())
}

fn main() {
    Router::new().handle(welcome);
}
