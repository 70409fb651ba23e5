//! A row and the mark that its job is done, written in one transaction: if the worker dies, both are stored or neither.
//!
//! ```sh
//! drumline dev --queue-only        # in a terminal of its own: serves the queue
//! export DRUMLINE_QUEUE_URL=http://127.0.0.1:9324/000000000000/jobs
//! export DRUMLINE_STORE_URL=postgres://postgres@127.0.0.1/postgres
//! cargo run -p drumline-examples --bin postgres_transaction
//! drumline send --type account.credit --payload '{"account":"alice","cents":500}' --idempotency-key alice-1
//! drumline send --type account.credit --payload '{"account":"alice","cents":500}' --idempotency-key alice-1
//! drumline send --type account.credit --payload '{"account":"alice","cents":70}' --idempotency-key alice-2
//! ```
//!
//! `cargo xtask peers` starts a PostgreSQL and prints its URL. The second message is a duplicate; on an empty database it prints:
//!
//! ```text
//! alice has 500 cents
//! alice has 570 cents
//! ```

use std::process::ExitCode;

use drumline::core::Ownership;
use drumline::{Context, Failure, Job, Router};
use drumline_consumer::{BoxError, variable};
use drumline_store::postgres::PostgresStore;
use drumline_store::postgres::sqlx::{self, Connection, PgConnection};
use serde::Deserialize;

const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS example_accounts (name text PRIMARY KEY, cents bigint NOT NULL)";

const CREDIT: &str = "INSERT INTO example_accounts AS a VALUES ($1, $2) \
     ON CONFLICT (name) DO UPDATE SET cents = a.cents + excluded.cents RETURNING a.cents";

#[derive(Deserialize)]
struct Credit {
    account: String,
    cents: i64,
}

impl Job for Credit {
    const TYPE: &'static str = "account.credit";
}

async fn credit(ctx: Context, job: Credit) -> Result<(), Failure> {
    let store = ctx.extension::<PostgresStore>().ok_or("the store is not PostgreSQL")?;
    let claim = ctx.claim().ok_or("the store keeps no claims")?;
    let mut transaction = store.begin(claim).await?;
    let query = sqlx::query_scalar(CREDIT).bind(&job.account).bind(job.cents);
    let cents: i64 = query.fetch_one(&mut *transaction).await?;
    // Marks the job as done and commits, if this run still has the claim.
    match transaction.commit(None).await? {
        Ownership::Kept => println!("{} has {cents} cents", job.account),
        Ownership::Lost => return Err(Failure::retry("another run has the job: nothing was written")),
    }
    Ok(())
}

async fn router() -> Result<Router, BoxError> {
    let url = variable("DRUMLINE_STORE_URL").ok_or("DRUMLINE_STORE_URL is not set")?;
    sqlx::query(TABLE).execute(&mut PgConnection::connect(&url).await?).await?;
    Ok(Router::new().handle(credit))
}

fn main() -> ExitCode {
    drumline_consumer::run(router)
}
