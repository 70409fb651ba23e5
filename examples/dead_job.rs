//! A hook for dead jobs: a row and an alert for each job after whose failure no attempt follows, once, although the hook may be called again.
//!
//! ```sh
//! drumline dev --queue-only        # in a terminal of its own: serves the queue
//! export DRUMLINE_QUEUE_URL=http://127.0.0.1:9324/000000000000/jobs
//! export DRUMLINE_STORE_URL=postgres://postgres@127.0.0.1/postgres
//! cargo run -p drumline-examples --bin dead_job
//! drumline send --type mail.send --payload '{"to":"alice"}' --correlation-id req-77
//! ```
//!
//! `cargo xtask peers` starts a PostgreSQL and prints its URL. It prints:
//!
//! ```text
//! row 1 of req-77: no mailbox alice
//! alert: mail.send in jobs is dead: no mailbox alice
//! ```

use std::process::ExitCode;

use drumline::run::DeadJob;
use drumline::{Context, Failure, Job, Router};
use drumline_consumer::{BoxError, variable};
use drumline_producer::Producer;
use drumline_store::postgres::sqlx::{self, Connection, PgConnection};
use serde::{Deserialize, Serialize};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS example_dead_jobs (key text PRIMARY KEY, request text NOT NULL, reason text NOT NULL)";

/// The key is the same in each call for one job.
const INSERT: &str = "INSERT INTO example_dead_jobs VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

const COUNT: &str = "SELECT count(*) FROM example_dead_jobs WHERE key = $1";

#[derive(Deserialize)]
struct Mail {
    to: String,
}

impl Job for Mail {
    const TYPE: &'static str = "mail.send";
}

/// An alert is a job, too: what delivers it is retried.
#[derive(Serialize, Deserialize)]
struct Alert {
    text: String,
}

impl Job for Alert {
    const TYPE: &'static str = "alert.send";
}

async fn send_mail(_: Context, job: Mail) -> Result<(), Failure> {
    Err(Failure::reject(format!("no mailbox {}", job.to)))
}

async fn send_alert(_: Context, job: Alert) -> Result<(), Failure> {
    println!("alert: {}", job.text);
    Ok(())
}

/// Writes the row and sends the alert. If it fails or its process is killed between the two, it is called again.
async fn bury(job: DeadJob, producer: Producer, database: String) -> Result<(), BoxError> {
    let mut connection = PgConnection::connect(&database).await?;
    let row = sqlx::query(INSERT).bind(&job.key).bind(&job.correlation_id).bind(&job.reason);
    row.execute(&mut connection).await?;
    let rows: i64 = sqlx::query_scalar(COUNT).bind(&job.key).fetch_one(&mut connection).await?;
    println!("row {rows} of {}: {}", job.correlation_id, job.reason);
    let job_type = job.job_type.as_deref().unwrap_or("a job");
    // An alert for an alert that cannot be sent would not be sent either.
    if job_type != Alert::TYPE {
        let text = format!("{job_type} in {} is dead: {}", job.queue, job.reason);
        // Sent twice under one key, it runs once.
        producer.send(&Alert { text }).idempotency_key(job.key).correlation(job.correlation_id).await?;
    }
    Ok(())
}

async fn router() -> Result<Router, BoxError> {
    let database = variable("DRUMLINE_STORE_URL").ok_or("DRUMLINE_STORE_URL is not set")?;
    sqlx::query(TABLE).execute(&mut PgConnection::connect(&database).await?).await?;
    let producer = Box::pin(Producer::connect()).await?;
    let router = Router::new().handle(send_mail).handle(send_alert);
    Ok(router.on_dead_job(move |job| bury(job, producer.clone(), database.clone())))
}

fn main() -> ExitCode {
    drumline_consumer::run(router)
}
