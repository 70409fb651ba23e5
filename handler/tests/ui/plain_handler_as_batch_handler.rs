use drumline::batch::BatchOptions;
use drumline::{Context, Failure, Job, Router};

#[derive(serde::Deserialize)]
struct Row {}

impl Job for Row {
    const TYPE: &'static str = "row";
}

async fn insert(_: Context, _: Row) -> Result<(), Failure> {
    Ok(())
}

fn main() {
    Router::new().handle_batch::<Row, _>(BatchOptions::new(), insert);
}
