//! A worker whose jobs each insert a row into PostgreSQL, for `cargo xtask bench inserting`: one by one, or many at once with a
//! batch handler.
//!
//! It takes its settings from the environment, and these variables:
//!
//! - `BENCH_DATABASE`: the URL of the database;
//! - `BENCH_WAY`: `one-by-one`, `together`, or the same with `-marked`, which writes rows in one transaction with the marks of
//!   their jobs in the worker's store. Without it, the job's id is the key of its row, so that a job that runs again changes
//!   nothing.
//!
//! With the argument `count` it prints the number of rows, and the number of distinct rows.
#![allow(clippy::print_stdout, reason = "printing is how this program answers")]

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use drumline::batch::{BatchContext, BatchOptions, BatchResult, Item, Rest};
use drumline::core::Ownership;
use drumline::{Context, Failure, Job, Router};
use drumline_consumer::variable;
use drumline_store::postgres::sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use drumline_store::postgres::sqlx::{self, Connection};
use drumline_store::postgres::{BatchCommit, PostgresStore};

type AnyError = Box<dyn Error + Send + Sync>;

/// As in the `drumline` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The number of the handlers' connections: the default of `sqlx`'s pool.
const CONNECTIONS: u32 = 10;

/// Only the first of these tables prevents duplicate rows.
const TABLES: &str =
    "CREATE TABLE IF NOT EXISTS bench_keyed (job text PRIMARY KEY, n bigint NOT NULL, padding text NOT NULL);
    CREATE TABLE IF NOT EXISTS bench_marked (job text NOT NULL, n bigint NOT NULL, padding text NOT NULL)";

const INSERT_KEYED: &str = "INSERT INTO bench_keyed SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[]) ON CONFLICT DO NOTHING";
const INSERT_MARKED: &str =
    "INSERT INTO bench_marked SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[])";

const COUNT: &str = "SELECT count(*), count(DISTINCT job) FROM \
    (SELECT job FROM bench_keyed UNION ALL SELECT job FROM bench_marked) AS rows";

/// The job of the benchmark's queue.
#[derive(serde::Deserialize)]
struct Row {
    n: i64,
    padding: String,
}

impl Job for Row {
    const TYPE: &'static str = "noop";
}

/// The columns of rows.
#[derive(Default)]
struct Columns<'a> {
    jobs: Vec<&'a str>,
    ns: Vec<i64>,
    paddings: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    fn of(rows: impl IntoIterator<Item = (&'a Context, &'a Row)>) -> Self {
        let mut columns = Self::default();
        for (context, row) in rows {
            columns.jobs.push(context.job_id());
            columns.ns.push(row.n);
            columns.paddings.push(&row.padding);
        }
        columns
    }

    async fn insert(
        self,
        statement: &'static str,
        connection: impl sqlx::PgExecutor<'_>,
    ) -> Result<(), sqlx::Error> {
        let insert = sqlx::query(statement).bind(self.jobs).bind(self.ns).bind(self.paddings);
        insert.execute(connection).await.map(drop)
    }
}

async fn one(pool: &PgPool, context: Context, row: Row) -> Result<(), Failure> {
    Ok(Columns::of([(&context, &row)]).insert(INSERT_KEYED, pool).await?)
}

async fn together(pool: &PgPool, items: Vec<Item<Row>>) -> BatchResult {
    let rows = items.iter().map(|item| (&item.context, &item.job));
    Columns::of(rows).insert(INSERT_KEYED, pool).await?;
    Ok(Rest::Done)
}

async fn one_marked(context: Context, row: Row) -> Result<(), Failure> {
    let store = context.extension::<PostgresStore>().ok_or("the store is not PostgreSQL")?;
    let mut transaction = store.begin(context.claim().ok_or("there is no claim")?).await?;
    Columns::of([(&context, &row)]).insert(INSERT_MARKED, &mut *transaction).await?;
    match transaction.commit(None).await? {
        Ownership::Kept => Ok(()),
        Ownership::Lost => Err(Failure::retry("another run has the job")),
    }
}

async fn together_marked(ctx: BatchContext, mut items: Vec<Item<Row>>) -> BatchResult {
    let store = ctx.extension::<PostgresStore>().ok_or("the store is not PostgreSQL")?;
    while !items.is_empty() {
        let mut transaction = store.begin_batch().await?;
        let rows = items.iter().map(|item| (&item.context, &item.job));
        Columns::of(rows).insert(INSERT_MARKED, &mut *transaction).await?;
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

async fn router() -> Result<Router, AnyError> {
    let url = variable("BENCH_DATABASE").ok_or("BENCH_DATABASE is not set")?;
    let way = variable("BENCH_WAY").ok_or("BENCH_WAY is not set")?;
    let pool = Arc::new(PgPoolOptions::new().max_connections(CONNECTIONS).connect(&url).await?);
    Ok(match &*way {
        "one-by-one" => Router::new().handle(move |context: Context, row: Row| {
            let pool = Arc::clone(&pool);
            async move { one(&pool, context, row).await }
        }),
        "together" => {
            Router::new().handle_batch(BatchOptions::new(), move |_: BatchContext, items: Vec<Item<Row>>| {
                let pool = Arc::clone(&pool);
                async move { together(&pool, items).await }
            })
        }
        "one-by-one-marked" => Router::new().handle(one_marked),
        "together-marked" => Router::new().handle_batch(BatchOptions::new(), together_marked),
        way => return Err(format!("BENCH_WAY: no way {way:?}").into()),
    })
}

/// Empties the tables, or creates them.
async fn empty() -> Result<(), AnyError> {
    let mut database = connect().await?;
    sqlx::raw_sql(TABLES).execute(&mut database).await?;
    sqlx::raw_sql("TRUNCATE bench_keyed, bench_marked").execute(&mut database).await?;
    // The jobs of each way have the same ids: the marks of the previous way would make them duplicates.
    let marks = "DO $$ BEGIN
        IF to_regclass('drumline_claims_v2') IS NOT NULL THEN TRUNCATE drumline_claims_v2, drumline_duplicates_v2; END IF;
    END $$";
    sqlx::raw_sql(marks).execute(&mut database).await?;
    Ok(())
}

async fn count() -> Result<(), AnyError> {
    let (rows, different): (i64, i64) = sqlx::query_as(COUNT).fetch_one(&mut connect().await?).await?;
    println!("{rows} {different}");
    Ok(())
}

async fn connect() -> Result<PgConnection, AnyError> {
    let url = variable("BENCH_DATABASE").ok_or("BENCH_DATABASE is not set")?;
    Ok(PgConnection::connect(&url).await?)
}

fn main() -> ExitCode {
    let result = match std::env::args().nth(1).as_deref() {
        Some("empty") => block_on(empty()),
        Some("count") => block_on(count()),
        _ => return drumline_consumer::run(router),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn block_on(work: impl Future<Output = Result<(), AnyError>>) -> Result<(), AnyError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
