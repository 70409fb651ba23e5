use drumline::{Context, Failure, Job, Router};

#[derive(serde::Deserialize)]
struct Welcome {}

impl Job for Welcome {
    const TYPE: &'static str = "welcome";
}

async fn welcome(_: Context, _: Welcome) -> Result<u64, Failure> {
    Ok(1)
}

fn main() {
    Router::new().handle(welcome);
}
