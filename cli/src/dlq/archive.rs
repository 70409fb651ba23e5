//! The archive of a watch: an export to which each new letter is added. It deletes nothing.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use drumline_consumer::ExitError;
use drumline_dlq::filter::Filter;
use drumline_dlq::letter_id::LetterId;
use tokio::time::Instant;

use super::export::{Done, Plan, Sink, header, pass, resume_file};
use super::hold::HoldOptions;
use super::operator::default_name;
use super::queue::DeadLetterQueue;
use super::reasons::ReasonLookup;
use crate::format::{note, now_ms};

/// The shortest time between two passes.
const REST: Duration = Duration::from_secs(60);

/// A pass receives every letter, even those that the archive has. After it, there is no pass for this many times its duration.
const RESTS: u32 = 9;

/// An archive.
pub(super) struct Archive {
    sink: Sink,
    archived: HashSet<LetterId>,
    /// The depth at the last pass, or a smaller depth measured since.
    depth: u64,
    not_before: Instant,
}

impl Archive {
    /// Opens the archive. An existing file is continued. In S3, each watch begins a new export with all letters.
    pub(super) fn open(target: &str, queue: &DeadLetterQueue) -> Result<Self, ExitError> {
        let (sink, archived) = if Path::new(target).is_file() {
            let (_, sink, archived) = resume_file(target, queue)?;
            (sink, archived)
        } else {
            let header = header(&default_name("watch", now_ms()), queue);
            (Sink::open(target, &header, queue)?, HashSet::new())
        };
        Ok(Self { sink, archived, depth: 0, not_before: Instant::now() })
    }

    /// Adds the new letters if the depth has grown. Failures are reported and retried.
    ///
    /// # Errors
    ///
    /// Returns an error if a signal interrupts it.
    pub(super) async fn follow(
        &mut self,
        depth: u64,
        queue: &mut DeadLetterQueue,
        reasons: &mut ReasonLookup,
    ) -> Result<(), ExitError> {
        self.depth = self.depth.min(depth);
        let begun = Instant::now();
        if depth == self.depth || begun < self.not_before {
            return Ok(());
        }
        queue.visible = usize::try_from(depth).unwrap_or(usize::MAX);
        let result = self.add(queue, reasons).await;
        self.not_before = Instant::now() + (begun.elapsed() * RESTS).max(REST);
        match result {
            Ok(()) => self.depth = depth,
            Err(error) if error.to_string().is_empty() => return Err(error),
            Err(error) => note(&format!("letters not archived yet: {error}")),
        }
        Ok(())
    }

    async fn add(&mut self, queue: &DeadLetterQueue, reasons: &mut ReasonLookup) -> Result<(), ExitError> {
        let (filter, mut done) = (Filter::default(), Done::default());
        let plan = Plan { queue, filter: &filter, limit: usize::MAX, among: None, deletes: false, log: None };
        let all = HoldOptions::limited(usize::MAX);
        let (hold, result) =
            pass(&plan, all, Some(reasons), &mut self.sink, &self.archived, &mut done).await?;
        hold.end().await;
        result?;
        // Sixteen bytes a letter. Letters that other receivers hold now will be seen again.
        self.archived.extend(done.chosen);
        Ok(())
    }
}
