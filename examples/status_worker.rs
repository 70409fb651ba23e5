//! The worker of `status.rs`. It reports its progress, which a page of another process shows.

use std::process::ExitCode;
use std::time::Duration;

use drumline::{Context, Failure, Job, Router};
use serde::Deserialize;

#[derive(Deserialize)]
struct MakeReport {
    pages: u32,
}

impl Job for MakeReport {
    const TYPE: &'static str = "report.make";
}

async fn make(ctx: Context, job: MakeReport) -> Result<(), Failure> {
    for page in 1..=job.pages {
        // Stands for the work.
        tokio::time::sleep(Duration::from_millis(250)).await;
        ctx.progress(page.into(), job.pages.into(), "pages");
    }
    ctx.set_result(&format!("a report of {} pages", job.pages))
}

fn main() -> ExitCode {
    drumline_consumer::run(|| Router::new().handle(make))
}
