use drumline::{Context, Failure, Router};

#[derive(serde::Deserialize)]
struct Welcome {}

async fn welcome(_: Context, _: Welcome) -> Result<(), Failure> {
    Ok(())
}

fn main() {
    Router::new().handle(welcome);
}
