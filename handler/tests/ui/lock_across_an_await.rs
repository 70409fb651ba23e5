use drumline::{Context, Failure, Job, Router};

#[derive(serde::Deserialize)]
struct Welcome {}

impl Job for Welcome {
    const TYPE: &'static str = "welcome";
}

static SENT: std::sync::Mutex<u64> = std::sync::Mutex::new(0);

async fn welcome(ctx: Context, _: Welcome) -> Result<(), Failure> {
    let mut sent = SENT.lock().expect("no panic");
    ctx.cancelled().await;
    *sent += 1;
    Ok(())
}

fn main() {
    Router::new().handle(welcome);
}
