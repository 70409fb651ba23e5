use drumline::{Context, Failure, Job, Router};

#[derive(serde::Deserialize)]
struct Welcome {}

impl Job for Welcome {
    const TYPE: &'static str = "welcome";
}

async fn welcome(ctx: Context, _: Welcome) -> Result<(), Failure> {
    let names = std::rc::Rc::new(["Ann"]);
    ctx.cancelled().await;
    drop(names);
    Ok(())
}

fn main() {
    Router::new().handle(welcome);
}
