//! `report.build`: works through many records, and resumes from its checkpoint.

use std::time::Duration;

use drumline::{Context, Failure, Job};
use serde::{Deserialize, Serialize};

/// The payload.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    pub report_id: u64,
    pub records: u64,
}

impl Job for Report {
    const TYPE: &'static str = "report.build";
    // One attempt at most. Checkpoints survive it.
    const TIMEOUT: Option<Duration> = Some(Duration::from_secs(120));

    fn idempotency_key(&self) -> Option<String> {
        Some(format!("report:{}", self.report_id))
    }
}

/// Handles one attempt: from the checkpoint of the attempt before, if there is one.
pub async fn report(ctx: Context, job: Report) -> Result<(), Failure> {
    for record in ctx.resume().unwrap_or(0)..job.records {
        // The reason is a time-out, a shutdown or a lost lease. Each lets the message return.
        if ctx.is_cancelled() {
            return Err(Failure::retry("stopped half-way"));
        }
        add(record).await?;
        ctx.checkpoint(&(record + 1))?;
        ctx.progress(record + 1, job.records, "records");
    }
    ctx.set_result(&job.records)
}

/// Stands for your work. Awaiting leaves the thread to other jobs; work that computes for long goes into `Context::blocking`.
async fn add(_record: u64) -> Result<(), std::io::Error> {
    tokio::time::sleep(Duration::from_millis(20)).await;
    Ok(())
}
