//! `report.generate`: sums up a table of any size by groups, and goes on where it was interrupted.

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

/// The source is read in pieces of this size: a millisecond's work, so that a stop is noticed at once.
const PIECE_BYTES: usize = 512 * 1024;

/// How often the next attempt is told how far this one is.
const KEEP_EVERY: Duration = Duration::from_secs(1);

/// The handler of `report.generate`.
///
/// The source is read once, from its beginning to its end, and never held. What is kept of it are the sums, which is why
/// an interrupted attempt can be gone on with. Nothing is written before all of the source has been read; a job that runs
/// twice writes the same bytes twice.
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
        // Set before anything is written: a result that is refused must not fail a report that exists.
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
    /// The source at the checkpoint; at its beginning where there is none, or where the source has changed since.
    async fn begin(&self, ctx: &Context, job: &ReportGenerate) -> Result<(Stream, Tally), Failure> {
        if let Some(kept) = ctx.resume::<Option<Checkpoint>>().flatten() {
            let (version, offset, records) = (kept.version.clone(), kept.offset, kept.records);
            let source = self.storage.reopen(ctx, &job.source, &version, offset).await?;
            if let Some((source, tally)) = source.zip(Tally::resume(job, kept)) {
                tracing::info!(records, offset, "the report goes on where it was interrupted");
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
        // Where it cannot be written now, it is not read again.
        keep(ctx, &source, &tally)?;
        ctx.progress(tally.summary.records, tally.summary.records, "records");
        Ok(tally)
    }
}

/// Returns the report's locations and the totals over all groups. The sum is text, since it is exact.
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

/// Tells how many records are done. How many there are is only known at the end; until then it is estimated from the
/// bytes, as if all records were as long as those so far.
fn report_progress(ctx: &Context, source: &Stream, tally: &Tally) {
    let (done, offset) = (tally.summary.records, u128::from(tally.offset()));
    let size = source.size().map_or(offset, u128::from).max(offset);
    let total = u128::from(done) * size / offset.max(1);
    ctx.progress(done, u64::try_from(total).unwrap_or(u64::MAX).max(done), "records");
}

/// Tells the next attempt how far this one is.
fn keep(ctx: &Context, source: &Stream, tally: &Tally) -> Result<(), Failure> {
    match source.version().and_then(|version| tally.checkpoint(version)) {
        Some(checkpoint) => ctx.checkpoint(&checkpoint),
        None => Ok(()),
    }
}

/// As [`keep`], where the source could not be read on. One that fails when all of it was read has another checksum than
/// it should have: nothing of it is to be believed.
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
