use drumline::{Context, Failure, Job, Router};

#[derive(serde::Deserialize)]
struct Welcome {}

impl Job for Welcome {
    const TYPE: &'static str = "welcome";
}

async fn welcome(_: Welcome, _: Context) -> Result<(), Failure> {
    Ok(())
}

fn main() {
    Router::new().handle(welcome);
}
