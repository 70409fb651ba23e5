//! `report.generate`: sums up a table of any size by groups, and resumes after an interruption.

mod number;
mod page;
mod payload;
mod records;
mod summary;
mod table;
mod tally;
mod totals;

use std::sync::Arc;
use std::time::Duration;

use drumline::core::CancelReason;
use drumline::{Context, Failure, Handler};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::location::Target;
use crate::settings::Formulas;
use crate::storage::{Storage, Stream};
use payload::ReportGenerate;
use summary::Summary;
use tally::{Checkpoint, Tally};

/// The size of the pieces in which the source is read: a millisecond's work, so that a stop is noticed quickly.
const PIECE_BYTES: usize = 512 * 1024;

/// The interval of checkpoints for the next attempt.
const KEEP_EVERY: Duration = Duration::from_secs(1);

/// The handler of `report.generate`.
///
/// The source is read once from its beginning to its end, and never kept. Only the sums are kept, so an interrupted attempt can
/// be resumed. Nothing is written before the whole source has been read; a job that runs twice writes the same bytes twice.
pub(crate) struct ReportGenerator {
    storage: Arc<Storage>,
    formulas: Formulas,
    piece_bytes: usize,
}

impl ReportGenerator {
    pub(crate) fn new(storage: Arc<Storage>, formulas: Formulas) -> Self {
        Self { storage, formulas, piece_bytes: PIECE_BYTES }
    }
}

impl Handler<ReportGenerate> for ReportGenerator {
    async fn handle(&self, ctx: Context, job: ReportGenerate) -> Result<(), Failure> {
        let (source, tally) = self.begin(&ctx, &job).await?;
        let tally = self.read(&ctx, source, tally).await?;

        let (csv, html) = (job.csv.clone(), job.html.clone());
        // Set before anything is written: a refused result must not fail a report that exists.
        ctx.set_result(&result(&csv, &html, &tally.summary))?;
        let formulas = self.formulas;
        let making = move || Ok((table::csv(&tally.summary, formulas), page::html(&job, &tally.summary)?));
        let (table, page) = ctx.blocking(making).await?;
        if let Some(reason) = ctx.cancel_reason() {
            return Err(stopped(reason));
        }
        self.storage.write(&ctx, &csv.location, table.into_bytes(), "text/csv; charset=utf-8").await?;
        self.storage.write(&ctx, &html.location, page.into_bytes(), "text/html; charset=utf-8").await
    }
}

impl ReportGenerator {
    /// Opens the source at the checkpoint; at its beginning if there is none, or if the source has changed since.
    async fn begin(&self, ctx: &Context, job: &ReportGenerate) -> Result<(Stream, Tally), Failure> {
        if let Some(kept) = ctx.resume::<Option<Checkpoint>>().flatten() {
            let (version, offset, records) = (kept.version.clone(), kept.offset, kept.records);
            let source = self.storage.reopen(ctx, &job.source, &version, offset).await?;
            if let Some((source, tally)) = source.zip(Tally::resume(job, kept)) {
                tracing::info!(records, offset, "the report resumes where it was interrupted");
                return Ok((source, tally));
            }
            tracing::info!("the source has changed: the report begins anew");
        }
        Ok((self.storage.open(ctx, &job.source).await?, Tally::new(job)))
    }

    /// Reads the source to its end.
    async fn read(&self, ctx: &Context, mut source: Stream, mut tally: Tally) -> Result<Tally, Failure> {
        let mut kept_at = Instant::now();
        loop {
            let piece = tokio::select! {
                biased;
                reason = ctx.cancelled() => {
                    keep(ctx, &source, &tally)?;
                    return Err(stopped(reason));
                }
                piece = source.next(ctx, self.piece_bytes) => piece,
            };
            let piece = match piece {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(failure) => {
                    keep_after(ctx, &source, &tally)?;
                    return Err(failure);
                }
            };
            tally = ctx.blocking(move || tally.read(&piece).map(|()| tally)).await?;
            report_progress(ctx, &source, &tally);
            if kept_at.elapsed() >= KEEP_EVERY {
                keep(ctx, &source, &tally)?;
                kept_at = Instant::now();
            }
        }
        tally.end()?;
        // If the target cannot be written now, the source is not read again.
        keep(ctx, &source, &tally)?;
        ctx.progress(tally.summary.records, tally.summary.records, "records");
        Ok(tally)
    }
}

/// Returns the report's locations and the totals of all groups. The sum is a text, because it is exact.
fn result(csv: &Target, html: &Target, summary: &Summary) -> Value {
    let sum: i128 = summary.totals.iter().map(|(_, total)| total.sum).sum();
    json!({
        "csv": csv.url,
        "html": html.url,
        "records": summary.records,
        "groups": summary.totals.len(),
        "sum": number::written(sum, summary.decimals),
    })
}

/// Reports how many records are done. The total is known only at the end; until then it is estimated from the bytes, assuming
/// that all records have the average length so far.
fn report_progress(ctx: &Context, source: &Stream, tally: &Tally) {
    let (done, offset) = (tally.summary.records, u128::from(tally.offset()));
    let size = source.size().map_or(offset, u128::from).max(offset);
    let total = u128::from(done) * size / offset.max(1);
    ctx.progress(done, u64::try_from(total).unwrap_or(u64::MAX).max(done), "records");
}

/// Saves a checkpoint for the next attempt.
fn keep(ctx: &Context, source: &Stream, tally: &Tally) -> Result<(), Failure> {
    match source.version().and_then(|version| tally.checkpoint(version)) {
        Some(checkpoint) => ctx.checkpoint(&checkpoint),
        None => Ok(()),
    }
}

/// Saves a checkpoint like [`keep`] after a read error. If the read failed at the end of the source, its checksum is wrong:
/// none of its data can be trusted.
fn keep_after(ctx: &Context, source: &Stream, tally: &Tally) -> Result<(), Failure> {
    if source.size().is_some_and(|size| source.position() >= size) {
        ctx.checkpoint(&None::<Checkpoint>)
    } else {
        keep(ctx, source, tally)
    }
}

fn stopped(reason: CancelReason) -> Failure {
    Failure::retry(format_args!("stopped half-way ({reason:?}), to be gone on with"))
}

#[cfg(test)]
mod key_tests;
#[cfg(test)]
#[path = "report/report_tests.rs"]
mod tests;
