//! A worker whose jobs are chains of steps: each step records its effect, and declares the next one.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use drumline::{Context, Failure, Job, Router};
use drumline_consumer::{BoxError, variable};
use drumline_store::postgres::sqlx::{self, PgPool, postgres::PgPoolOptions};
use serde::{Deserialize, Serialize};

/// The pause before the effect and after it, so that kills happen at any point.
const WORK: Duration = Duration::from_millis(15);

#[expect(clippy::struct_field_names, reason = "the payload's own words")]
#[derive(Serialize, Deserialize)]
struct Step {
    chain: u32,
    step: u32,
    /// The remaining steps.
    left: u32,
    /// The file of effects, one per line.
    log: String,
    /// Different in each attempt, like data that an earlier step has fetched.
    fetched: u64,
}

impl Job for Step {
    const TYPE: &'static str = "chain.step";
}

async fn step(ctx: Context, job: Step, database: Option<PgPool>) -> Result<(), Failure> {
    tokio::time::sleep(WORK).await;
    write_down(&ctx, &job)?;
    if let Some(database) = database {
        insert(&ctx, &job, &database).await?;
    }
    if job.left > 0 {
        let (step, left) = (job.step + 1, job.left - 1);
        ctx.then(&Step { step, left, log: job.log.clone(), fetched: fastrand::u64(..), ..job })?;
    }
    tokio::time::sleep(WORK).await;
    Ok(())
}

/// Appends a line, in one write.
fn write_down(ctx: &Context, job: &Step) -> Result<(), Failure> {
    let line = format!("{} {} {}\n", job.chain, job.step, ctx.job_id());
    let mut file = OpenOptions::new().append(true).create(true).open(&job.log)?;
    file.write_all(line.as_bytes())?;
    Ok(())
}

/// Writes the effect with the claim's token, one row for each run.
async fn insert(ctx: &Context, job: &Step, database: &PgPool) -> Result<(), Failure> {
    const INSERT: &str = "INSERT INTO effects (chain, step, job, token) VALUES ($1, $2, $3, $4)";
    let claim = ctx.claim().ok_or_else(|| Failure::retry("there is no claim"))?;
    let query = sqlx::query(INSERT).bind(i64::from(job.chain)).bind(i64::from(job.step)).bind(ctx.job_id());
    query.bind(i64::try_from(claim.fencing_token)?).execute(database).await?;
    Ok(())
}

async fn router() -> Result<Router, BoxError> {
    let database = match variable("CHAIN_DATABASE") {
        Some(url) => Some(PgPoolOptions::new().max_connections(4).connect(&url).await?),
        None => None,
    };
    Ok(Router::new().handle(move |ctx: Context, job: Step| step(ctx, job, database.clone())))
}

fn main() -> ExitCode {
    drumline_cli::App::new(router).main()
}
