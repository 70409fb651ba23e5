use drumline::{Context, Job, Router};

#[derive(serde::Deserialize)]
struct Welcome {}

impl Job for Welcome {
    const TYPE: &'static str = "welcome";
}

async fn welcome(_: Context, _: Welcome) {}

fn main() {
    Router::new().handle(welcome);
}
