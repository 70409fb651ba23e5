//! A worker, and a function, whose jobs write a row each: the row and the mark that it is written are one transaction.

use std::process::ExitCode;
use std::time::Duration;

use drumline::{Context, Failure, Job, Router};
use drumline_store::postgres::{PostgresStore, sqlx};
use serde::Deserialize;

/// Long enough for a kill to come in between.
const WORK: Duration = Duration::from_millis(200);

#[derive(Deserialize)]
struct RowWrite {
    table: String,
    row: String,
}

impl Job for RowWrite {
    const TYPE: &'static str = "row.write";
}

async fn write(ctx: Context, job: RowWrite) -> Result<(), Failure> {
    let store = ctx.extension::<PostgresStore>().ok_or_else(|| Failure::retry("there is no such store"))?;
    let claim = ctx.claim().ok_or_else(|| Failure::retry("there is no claim"))?;
    let mut transaction = store.begin(claim).await?;
    let insert = format!("INSERT INTO {} (job) VALUES ($1)", job.table);
    sqlx::query(sqlx::AssertSqlSafe(insert)).bind(&job.row).execute(&mut *transaction).await?;
    tokio::time::sleep(WORK).await;
    match transaction.commit(None).await? {
        drumline::core::Ownership::Kept => Ok(()),
        drumline::core::Ownership::Lost => Err(Failure::retry("somebody else has the claim by now")),
    }
}

fn main() -> ExitCode {
    let router = || Router::new().handle(write);
    if drumline_consumer::variable("AWS_LAMBDA_RUNTIME_API").is_some() {
        drumline_lambda::App::new(router).main()
    } else {
        drumline_cli::App::new(router).main()
    }
}
