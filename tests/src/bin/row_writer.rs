//! A worker, and a function, whose jobs each write a row: the row and the job's mark are one transaction. A batch has one
//! transaction for all of its rows.

use std::process::ExitCode;
use std::time::Duration;

use drumline::batch::{BatchContext, BatchOptions, BatchResult, Item, Rest};
use drumline::{Context, Failure, Job, Router};
use drumline_store::postgres::{BatchCommit, PostgresStore, sqlx};
use serde::Deserialize;

/// Long enough for a kill in between.
const WORK: Duration = Duration::from_millis(200);

#[derive(Deserialize)]
struct RowWrite {
    table: String,
    row: String,
}

impl Job for RowWrite {
    const TYPE: &'static str = "row.write";
}

/// The same, for a batch of jobs with the same table.
#[derive(Deserialize)]
struct RowInsert {
    table: String,
    row: String,
}

impl Job for RowInsert {
    const TYPE: &'static str = "row.insert";
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
        drumline::core::Ownership::Lost => Err(Failure::retry("another run has the claim by now")),
    }
}

async fn insert(ctx: BatchContext, mut items: Vec<Item<RowInsert>>) -> BatchResult {
    let store = ctx.extension::<PostgresStore>().ok_or("there is no such store")?;
    let insert = format!("INSERT INTO {} (job) SELECT * FROM unnest($1::text[])", items[0].job.table);
    while !items.is_empty() {
        let rows: Vec<&str> = items.iter().map(|item| &*item.job.row).collect();
        let mut transaction = store.begin_batch().await?;
        let insert = sqlx::query(sqlx::AssertSqlSafe(insert.clone())).bind(rows);
        insert.execute(&mut *transaction).await?;
        tokio::time::sleep(WORK).await;
        let jobs: Option<Vec<_>> = items.iter().map(|item| Some((&**item.context.claim()?, None))).collect();
        match transaction.commit(&jobs.ok_or("there is no claim")?).await? {
            BatchCommit::Done => return Ok(Rest::Done),
            BatchCommit::Lost(lost) => {
                for place in lost.into_iter().rev() {
                    items.remove(place).failed("another run has the job");
                }
            }
        }
    }
    Ok(Rest::Retry)
}

fn main() -> ExitCode {
    let router = || Router::new().handle(write).handle_batch(BatchOptions::new(), insert);
    if drumline_consumer::variable("AWS_LAMBDA_RUNTIME_API").is_some() {
        drumline_lambda::App::new(router).main()
    } else {
        drumline_cli::App::new(router).main()
    }
}
