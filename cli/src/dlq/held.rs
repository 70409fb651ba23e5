//! The letters that the process holds: their receipts on disk, and their release or deletion.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;

use drumline::core::{CallError, MAX_BATCH};
use drumline_consumer::ExitError;
use drumline_dlq::letter_id::LetterId;
use futures_util::{StreamExt, stream};

use super::settle::{Settler, Settling};
use super::spool::{Receipt, Spool};

/// The number of concurrent calls.
const CALLS: usize = 4;

/// The file has at most this many receipts for each held letter,
const FILE_FACTOR: usize = 4;

/// and this many in addition: some megabytes.
const FILE_LEAST: usize = 20_000;

/// The letters that are held.
pub(super) struct HeldLetters {
    /// The place of each letter's newest receipt in the spool.
    places: HashMap<LetterId, u64>,
    spool: Spool,
    /// Receipts for which the file has no room: they are released first.
    unkept: Vec<String>,
    settler: Settler,
}

/// The letters that could not be released.
#[derive(Debug, Default)]
pub(super) struct Unreleased {
    pub(super) count: usize,
    pub(super) why: String,
}

/// The results of one call, with at most ten receipts.
type Settled = (Vec<Result<(), CallError>>, Vec<Receipt>);

impl HeldLetters {
    /// Creates an empty set. Its receipts are in the file at `path`, otherwise in a temporary file.
    pub(super) fn open(path: Option<&Path>, settler: Settler) -> Result<Self, ExitError> {
        let spool = path.map_or_else(Spool::temporary, Spool::at).map_err(|error| spool_error(&error))?;
        Ok(Self { places: HashMap::new(), spool, unkept: Vec::new(), settler })
    }

    /// Returns the number of letters.
    pub(super) fn count(&self) -> usize {
        self.places.len()
    }

    /// Returns a settler that releases and deletes letters independently. The caller must then [`forget`](Self::forget) them.
    pub(super) fn settler(&self) -> Settler {
        self.settler.clone()
    }

    /// Adds letters. A letter that is already held gets the new receipt. Letters whose receipts cannot be kept are released
    /// with the others.
    pub(super) fn keep(&mut self, receipts: Vec<Receipt>) -> Result<(), ExitError> {
        match self.spool.append(&receipts) {
            Ok(places) => {
                self.places.extend(receipts.into_iter().map(|receipt| receipt.id).zip(places));
                self.compact();
                Ok(())
            }
            Err(error) => {
                self.unkept.extend(receipts.into_iter().map(|receipt| receipt.handle));
                Err(spool_error(&error))
            }
        }
    }

    /// Keeps the size of the file in proportion to the number of letters: each receive adds receipts to it.
    fn compact(&mut self) {
        let Self { places, spool, .. } = self;
        if spool.count() <= places.len() * FILE_FACTOR + FILE_LEAST {
            return;
        }
        // If there is no room for a second file, this one grows.
        if let Ok(moved) = spool.compact(|place, receipt| places.get(&receipt.id) == Some(&place)) {
            places.extend(moved);
        }
    }

    /// Removes a letter that is no longer held.
    pub(super) fn forget(&mut self, id: LetterId) {
        self.places.remove(&id);
    }

    /// Releases the letters that an earlier process has left in the file.
    pub(super) async fn release_left(&mut self) -> Result<Unreleased, ExitError> {
        let records = self.spool.records().map_err(|error| spool_error(&error))?;
        for record in records {
            let (place, receipt) = record.map_err(|error| spool_error(&error))?;
            self.places.insert(receipt.id, place);
        }
        self.release_all().await
    }

    /// Releases all letters. Letters whose hold has ended need no release.
    pub(super) async fn release_all(&mut self) -> Result<Unreleased, ExitError> {
        self.settler.release(std::mem::take(&mut self.unkept)).await;
        let mut unreleased = Unreleased::default();
        let (mut released, mut is_broken) = (0, false);
        let each = |(results, _): Settled| {
            let failed: Vec<&CallError> = results.iter().filter_map(|result| result.as_ref().err()).collect();
            released += results.len() - failed.len();
            unreleased.count += failed.len();
            if let Some(error) = failed.last() {
                unreleased.why = error.to_string();
            }
            // The call was tried several times, so the next ones would fail, too.
            is_broken |= failed.len() == results.len();
            !is_broken
        };
        self.settle_newest(Settling::Release, Receipt::is_usable, each).await?;
        if is_broken {
            unreleased.count = self.places.len() - released;
        }
        self.places.clear();
        self.spool.clear().map_err(|error| spool_error(&error))?;
        Ok(unreleased)
    }

    /// Deletes those of the letters that are held. Adds the deleted letters to `deleted`, even if the future is dropped. Calls
    /// `each` after each request; requests that are in flight when it fails are finished.
    pub(super) async fn delete_among(
        &mut self,
        letters: &HashSet<LetterId>,
        deleted: &mut HashSet<LetterId>,
        mut each: impl FnMut(usize) -> Result<(), ExitError>,
    ) -> Result<(), ExitError> {
        let mut end = Ok(());
        let each = |(results, receipts): Settled| {
            let done = receipts.iter().zip(&results).filter(|(_, result)| result.is_ok());
            deleted.extend(done.map(|(receipt, _)| receipt.id));
            let refused = results.iter().find_map(|result| match result {
                Err(CallError::Refused(why)) => Some(ExitError::unavailable(why.clone())),
                _ => None,
            });
            let next = refused.map_or_else(|| each(deleted.len()), Err);
            let goes_on = next.is_ok() && !all_failed(&results);
            if end.is_ok() {
                end = next;
            }
            goes_on
        };
        let choose = |receipt: &Receipt| letters.contains(&receipt.id) && receipt.is_usable();
        let settled = self.settle_newest(Settling::Delete, choose, each).await;
        self.places.retain(|id, _| !deleted.contains(id));
        end.and(settled)
    }

    /// Settles the chosen letters, ten to a call, as long as `each` returns true for the results. Calls that are in flight then
    /// are finished.
    async fn settle_newest(
        &mut self,
        what: Settling,
        mut choose: impl FnMut(&Receipt) -> bool,
        mut each: impl FnMut(Settled) -> bool,
    ) -> Result<(), ExitError> {
        let Self { places, spool, settler, .. } = self;
        let mut failure = None;
        let is_over = Cell::new(false);
        {
            let records = spool.records().map_err(|error| spool_error(&error))?;
            let records = records.map_while(|record| record.map_err(|error| failure = Some(error)).ok());
            let newest = records.filter(|(place, receipt)| places.get(&receipt.id) == Some(place));
            let chosen = newest.map(|(_, receipt)| receipt).filter(|receipt| choose(receipt));
            let settler = &*settler;
            let calls = stream::iter(batches(chosen).take_while(|_| !is_over.get())).map(
                async |receipts: Vec<Receipt>| {
                    let handles = receipts.iter().map(|receipt| receipt.handle.clone()).collect();
                    (settler.settle(what, handles).await, receipts)
                },
            );
            let calls = calls.buffer_unordered(CALLS);
            let mut calls = std::pin::pin!(calls);
            while let Some(settled) = calls.next().await {
                is_over.set(!each(settled) || is_over.get());
            }
        }
        failure.map_or(Ok(()), |error| Err(spool_error(&error)))
    }

    /// Returns the letters that stay hidden because their receipts cannot be read.
    pub(super) fn unreadable(&self, error: &ExitError) -> Unreleased {
        Unreleased { count: self.count(), why: error.to_string() }
    }
}

/// Returns true if a call failed for all its letters several times, so that the next calls would fail, too.
fn all_failed(results: &[Result<(), CallError>]) -> bool {
    results.iter().all(|result| matches!(result, Err(CallError::Failed(_) | CallError::Refused(_))))
}

/// Splits items into groups of ten. The last group may be smaller.
fn batches<T>(mut items: impl Iterator<Item = T>) -> impl Iterator<Item = Vec<T>> {
    std::iter::from_fn(move || {
        let batch: Vec<T> = items.by_ref().take(MAX_BATCH).collect();
        (!batch.is_empty()).then_some(batch)
    })
}

fn spool_error(error: &io::Error) -> ExitError {
    ExitError::other(format!("the receipts of held messages cannot be kept on disk: {error}"))
}
