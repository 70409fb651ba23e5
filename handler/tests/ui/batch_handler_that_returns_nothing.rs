use drumline::batch::{BatchContext, BatchOptions, Item};
use drumline::{Failure, Job, Router};

#[derive(serde::Deserialize)]
struct Row {}

impl Job for Row {
    const TYPE: &'static str = "row";
}

async fn insert(_: BatchContext, _: Vec<Item<Row>>) -> Result<(), Failure> {
    Ok(())
}

fn main() {
    Router::new().handle_batch(BatchOptions::new(), insert);
}
