//! A pass over a DLQ that exports the chosen letters, and optionally deletes them after they are on disk.

use std::collections::HashSet;

use drumline::core::CallError;
use drumline_consumer::ExitError;
use drumline_dlq::action::Counts;
use drumline_dlq::filter::Filter;
use drumline_dlq::letter_id::LetterId;
use drumline_dlq::line::Line;

use super::deletions::Deletions;
use super::sink::Sink;
use crate::dlq::action_log::ActionLog;
use crate::dlq::hold::{Hold, HoldOptions, Look};
use crate::dlq::queue::DeadLetterQueue;
use crate::dlq::reasons::ReasonLookup;
use crate::dlq::selection::{Selected, select};
use crate::interrupt::unless_interrupted;

/// The task of a pass.
pub(in crate::dlq) struct Plan<'a> {
    pub(in crate::dlq) queue: &'a DeadLetterQueue,
    pub(in crate::dlq) filter: &'a Filter,
    /// The largest number of letters to choose, including those of earlier runs.
    pub(in crate::dlq) limit: usize,
    /// The letters among which the pass chooses, if they were counted before.
    pub(in crate::dlq) among: Option<&'a HashSet<LetterId>>,
    /// Deletes each letter that is on disk.
    pub(in crate::dlq) deletes: bool,
    /// The record of the action, if there is one. It counts letters and may end the pass.
    pub(in crate::dlq) log: Option<&'a ActionLog>,
}

/// The result of a pass.
#[derive(Debug, Default)]
pub(in crate::dlq) struct Done {
    /// The chosen letters.
    pub(in crate::dlq) chosen: HashSet<LetterId>,
    /// The number of chosen letters that are on disk from an earlier run.
    pub(in crate::dlq) exported_seen: usize,
    /// The number of letters written.
    pub(in crate::dlq) written: usize,
    pub(in crate::dlq) deleted: usize,
    /// The number of letters that could not be deleted, and the reason for the last one.
    pub(in crate::dlq) undeleted: usize,
    pub(in crate::dlq) why: Option<String>,
    /// The counts of earlier runs of the action.
    pub(in crate::dlq) earlier: Counts,
}

struct Pass<'a, 'b> {
    plan: &'b Plan<'a>,
    reasons: Option<&'b mut ReasonLookup>,
    sink: &'b mut Sink,
    /// The letters that are on disk from an earlier run.
    exported: &'b HashSet<LetterId>,
    done: &'b mut Done,
    /// The letters since the last commit, and the number of them that have a new line.
    uncommitted: usize,
    unwritten: usize,
    deletions: Deletions,
    /// True if deleted letters of a FIFO queue may make others visible.
    may_show_more: bool,
    /// True if the limit is reached and the pass continues only to find late letters.
    seeks_late: bool,
}

/// Reads the DLQ once. Looks up histories if `reasons` is given. Returns the hold with the letters that it holds, which the
/// caller must [end](Hold::end), and the result of the pass.
pub(in crate::dlq) async fn pass<'a>(
    plan: &Plan<'a>,
    options: HoldOptions,
    reasons: Option<&mut ReasonLookup>,
    sink: &mut Sink,
    exported: &HashSet<LetterId>,
    done: &mut Done,
) -> Result<(Hold<'a>, Result<(), ExitError>), ExitError> {
    let mut hold = Hold::begin(plan.queue, options).await?;
    let mut pass = Pass {
        plan,
        reasons,
        sink,
        exported,
        done,
        uncommitted: 0,
        unwritten: 0,
        deletions: Deletions::default(),
        may_show_more: false,
        seeks_late: false,
    };
    let result = unless_interrupted(pass.run(&mut hold)).await;
    // The lines of letters that were chosen before the error are complete.
    let written = if result.is_ok() { Ok(()) } else { pass.write().await };
    pass.count_late();
    Ok((hold, result.and(written)))
}

impl Pass<'_, '_> {
    async fn run(&mut self, hold: &mut Hold<'_>) -> Result<(), ExitError> {
        self.look_through(hold).await?;
        if self.deletions.late().is_empty() {
            return Ok(());
        }
        // Some letters may have been received again meanwhile without being shown.
        let mut deleted = HashSet::new();
        let result = hold.delete_among(self.deletions.late(), &mut deleted, |_| Ok(())).await;
        self.done.deleted += deleted.len();
        self.deletions.deleted(&deleted);
        result?;
        if self.deletions.late().is_empty() {
            return Ok(());
        }
        self.deletions.until_visible().await;
        self.seeks_late = true;
        hold.look_again();
        self.look_through(hold).await
    }

    /// Returns true if no more letters are needed.
    fn is_enough(&self) -> bool {
        let seeks_exported = self.plan.deletes && self.done.exported_seen < self.exported.len();
        let seeks_late = self.seeks_late && !self.deletions.late().is_empty();
        self.is_full() && !seeks_exported && !seeks_late
    }

    /// Returns true if the limit is reached by the letters of earlier runs and of this one.
    fn is_full(&self) -> bool {
        self.exported.len() + self.done.chosen.len() - self.done.exported_seen >= self.plan.limit
    }

    async fn look_through(&mut self, hold: &mut Hold<'_>) -> Result<(), ExitError> {
        while !self.is_enough() {
            match hold.look().await? {
                Look::Letters(letters) => {
                    let selected =
                        select(letters, self.plan.queue, self.plan.filter, self.reasons.as_deref_mut()).await;
                    if self.plan.filter.needs_history()
                        && let Some(reasons) = &self.reasons
                    {
                        reasons.expect_no_loss()?;
                    }
                    for letter in selected {
                        self.take(&letter)?;
                    }
                    hold.bar.set_message(format!(", {} match", self.done.chosen.len()));
                    if self.sink.is_due(self.uncommitted) {
                        self.commit(hold).await?;
                    } else {
                        // Commits may be minutes apart.
                        self.report()?;
                    }
                }
                Look::RoundOver => {
                    self.commit(hold).await?;
                    hold.next_round().await?;
                }
                Look::Over => {
                    self.commit(hold).await?;
                    if !std::mem::take(&mut self.may_show_more) {
                        return Ok(());
                    }
                    hold.look_again();
                }
            }
        }
        self.commit(hold).await
    }

    fn take(&mut self, selected: &Selected) -> Result<(), ExitError> {
        let id = selected.id();
        let is_known = self.done.chosen.contains(&id);
        let is_among = self.plan.among.is_none_or(|among| among.contains(&id));
        let is_exported = self.exported.contains(&id);
        if !is_among || !is_known && !is_exported && self.is_full() {
            return Ok(());
        }
        if !is_known && is_exported {
            self.done.exported_seen += 1;
        } else if !is_known {
            let letter = &selected.letter;
            self.sink.append(&Line::of(letter.letter(), letter.history()))?;
            self.unwritten += 1;
        }
        self.done.chosen.insert(id);
        self.uncommitted += 1;
        if self.plan.deletes {
            self.deletions.add(selected.receipt());
        }
        Ok(())
    }

    /// Writes the pending lines to disk. They count only from then on: a commit that fails or is dropped leaves no lines.
    async fn write(&mut self) -> Result<(), ExitError> {
        self.uncommitted = 0;
        let lines = std::mem::take(&mut self.unwritten);
        self.sink.commit().await?;
        self.done.written += lines;
        Ok(())
    }

    /// Writes the pending lines to disk, and deletes their letters if that was requested.
    async fn commit(&mut self, hold: &mut Hold<'_>) -> Result<(), ExitError> {
        self.write().await?;
        let usable = self.deletions.take_usable();
        let deleted_before = self.done.deleted;
        let mut refused = None;
        for (receipt, result) in usable.iter().zip(hold.delete(&usable).await) {
            match result {
                Ok(()) => self.done.deleted += 1,
                Err(error) if is_late(&error) => self.deletions.missed(receipt.id),
                Err(CallError::Refused(why)) => refused = Some(why),
                Err(error) => {
                    self.done.undeleted += 1;
                    self.done.why = Some(error.to_string());
                }
            }
        }
        // Late letters are received again, and are on disk by then.
        hold.hold_ended(self.deletions.late().iter().copied());
        self.may_show_more |= hold.is_fifo() && self.done.deleted > deleted_before;
        if let Some(why) = refused {
            return Err(ExitError::unavailable(why));
        }
        self.report()
    }

    /// Reports the counts so far.
    ///
    /// # Errors
    ///
    /// Returns an error if the action must end.
    fn report(&self) -> Result<(), ExitError> {
        let Some(log) = self.plan.log else { return Ok(()) };
        log.report(self.done.counts());
        log.stop_asked().map_or(Ok(()), |reason| Err(ExitError::other(reason)))
    }

    /// Counts letters that are still late: they are on disk and were not deleted.
    fn count_late(&mut self) {
        let late = self.deletions.late().len();
        if late > 0 {
            self.done.undeleted += late;
            self.done.why = Some(format!("their hold ended before they were written{}", self.sink.remedy()));
        }
    }
}

/// The text with which SQS refuses the receipt of a FIFO letter whose hold has ended.
const EXPIRED: &str = "receipt handle has expired";

/// Returns true if a letter was not deleted because its hold has ended or another receiver has deleted it.
fn is_late(error: &CallError) -> bool {
    match error {
        CallError::Gone(_) => true,
        CallError::Failed(why) => why.contains(EXPIRED),
        CallError::Refused(_) => false,
    }
}

impl Done {
    /// Continues an action with these counts. `exported` letters are on disk; the earlier process may have ended before it
    /// counted them.
    pub(super) fn resumed(counts: &Counts, exported: usize) -> Self {
        let mut earlier = counts.clone();
        for name in ["matched", "exported"] {
            let count = earlier.entry(name.to_owned()).or_default();
            *count = (*count).max(exported as u64);
        }
        Self { earlier, ..Self::default() }
    }

    /// Returns the counts of the action for its record, including those of earlier runs.
    pub(in crate::dlq) fn counts(&self) -> Counts {
        let earlier = |name: &str| self.earlier.get(name).copied().unwrap_or_default();
        let counts = [
            ("matched", earlier("matched") + (self.chosen.len() - self.exported_seen) as u64),
            ("exported", earlier("exported") + self.written as u64),
            ("deleted", earlier("deleted") + self.deleted as u64),
            ("left", self.undeleted as u64),
        ];
        counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(matched: u64, exported: u64, deleted: u64, left: u64) -> Counts {
        let counts = [("matched", matched), ("exported", exported), ("deleted", deleted), ("left", left)];
        counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
    }

    #[test]
    fn the_counts_of_a_resumed_export_continue() {
        // The process was killed after it had written 110 lines, and before it reported the last ones.
        let mut done = Done::resumed(&counts(100, 100, 80, 2), 110);
        assert_eq!(done.counts(), counts(110, 110, 80, 0));
        done.chosen = ["m-1", "m-2", "m-3"].map(LetterId::of).into();
        (done.exported_seen, done.written, done.deleted) = (2, 1, 3);
        assert_eq!(done.counts(), counts(111, 111, 83, 0));
        assert_eq!(Done::resumed(&Counts::new(), 0).counts(), Done::default().counts());
    }
}
