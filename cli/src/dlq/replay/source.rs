//! The source of a replay's letters: the DLQ or an export.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use drumline::core::MAX_BATCH;
use drumline_consumer::ExitError;
use drumline_dlq::Cause;
use drumline_dlq::journal::{FileHasher, FileMark};
use drumline_dlq::letter_id::LetterId;
use drumline_dlq::line::{Header, Lines};

use crate::dlq::hold::{Held, Hold, HoldOptions, Look};
use crate::dlq::queue::DeadLetterQueue;
use crate::dlq::settle::Settler;

/// The information of an export about a letter besides its message: the cause of its death and its job's type.
pub(super) type Learned = HashMap<LetterId, (Option<Cause>, Option<String>)>;

/// The source of a replay's letters.
pub(super) enum Source<'a> {
    /// The DLQ: its letters are held, and deleted after they are sent.
    Queue(Box<Hold<'a>>),
    /// An export: its letters are neither held nor deleted.
    File(Box<Export>),
}

/// An export that is being read. Each letter is returned once.
pub(super) struct Export {
    path: PathBuf,
    lines: Lines<BufReader<File>>,
    seen: HashSet<LetterId>,
    learned: Learned,
    reopens: bool,
}

impl<'a> Source<'a> {
    /// Opens the DLQ or the export.
    pub(super) async fn open(
        queue: &'a DeadLetterQueue,
        export: Option<&Path>,
        hold: Duration,
        spool: Option<PathBuf>,
    ) -> Result<Self, ExitError> {
        if let Some(path) = export {
            return Ok(Self::File(Box::new(Export::open(path)?)));
        }
        let options = HoldOptions { limit: usize::MAX, hold: Some(hold), spool };
        Ok(Self::Queue(Box::new(Hold::begin(queue, options).await?)))
    }

    /// Reads further. Cancel-safe.
    pub(super) async fn look(&mut self) -> Result<Look, ExitError> {
        match self {
            Self::Queue(hold) => hold.look().await,
            Self::File(export) => export.look(),
        }
    }

    /// Returns letters that were not seen before; none at the end. Earlier letters may be released.
    pub(super) async fn more(&mut self) -> Result<Vec<Held>, ExitError> {
        match self {
            Self::Queue(hold) => hold.more().await,
            Self::File(export) => match export.look()? {
                Look::Letters(letters) => Ok(letters),
                Look::RoundOver | Look::Over => Ok(Vec::new()),
            },
        }
    }

    /// Returns the number of letters that were read.
    pub(super) fn seen(&self) -> usize {
        match self {
            Self::Queue(hold) => hold.seen(),
            Self::File(export) => export.seen.len(),
        }
    }

    /// Takes the export's information about the letters read so far.
    pub(super) fn take_learned(&mut self) -> Learned {
        match self {
            Self::Queue(_) => Learned::new(),
            Self::File(export) => std::mem::take(&mut export.learned),
        }
    }

    /// Lets released letters be returned again.
    pub(super) fn see_again(&mut self, letters: impl IntoIterator<Item = LetterId>) {
        match self {
            Self::Queue(hold) => hold.see_again(letters),
            Self::File(export) => letters.into_iter().for_each(|id| {
                export.seen.remove(&id);
            }),
        }
    }

    /// Lets letters whose hold has ended be returned again.
    pub(super) fn hold_ended(&mut self, letters: impl IntoIterator<Item = LetterId>) {
        if let Self::Queue(hold) = self {
            hold.hold_ended(letters);
        }
    }

    /// Returns the letters that were put back and not received again.
    pub(super) fn sought(&self) -> impl Iterator<Item = LetterId> {
        let hold = match self {
            Self::Queue(hold) => Some(hold),
            Self::File(_) => None,
        };
        hold.into_iter().flat_map(|hold| hold.sought())
    }

    /// Continues a pass that was over.
    pub(super) fn look_again(&mut self) {
        match self {
            Self::Queue(hold) => hold.look_again(),
            Self::File(export) => export.reopens = true,
        }
    }

    /// Releases all held letters, so that others can be received.
    pub(super) async fn next_round(&mut self) -> Result<(), ExitError> {
        match self {
            Self::Queue(hold) => hold.next_round().await,
            Self::File(_) => Ok(()),
        }
    }

    /// Records that letters are no longer held.
    pub(super) fn forget(&mut self, letters: impl IntoIterator<Item = LetterId>) {
        if let Self::Queue(hold) = self {
            hold.forget(letters);
        }
    }

    /// Returns a settler that releases and deletes letters; none for an export.
    pub(super) fn settler(&self) -> Option<Settler> {
        match self {
            Self::Queue(hold) => Some(hold.settler()),
            Self::File(_) => None,
        }
    }

    /// Returns true if deleting letters may make others of their message group visible.
    pub(super) fn is_fifo(&self) -> bool {
        matches!(self, Self::Queue(hold) if hold.is_fifo())
    }

    /// Hides the progress, so that other output can use the terminal.
    pub(super) fn hide_progress(&self) {
        if let Self::Queue(hold) = self {
            hold.bar.finish_and_clear();
        }
    }

    /// Ends the pass and releases held letters. Returns the number of letters that could not be released.
    pub(super) async fn end(self) -> usize {
        match self {
            Self::Queue(hold) => hold.end().await,
            Self::File(_) => 0,
        }
    }
}

impl Export {
    fn open(path: &Path) -> Result<Self, ExitError> {
        let (_, lines) = open(path)?;
        let (seen, learned) = (HashSet::new(), Learned::new());
        Ok(Self { path: path.to_owned(), lines, seen, learned, reopens: false })
    }

    fn look(&mut self) -> Result<Look, ExitError> {
        if std::mem::take(&mut self.reopens) {
            self.lines = open(&self.path)?.1;
        }
        let mut letters = Vec::new();
        while letters.len() < MAX_BATCH {
            let Some(exported) = self.lines.next() else { break };
            let exported = exported.map_err(|error| unreadable(&self.path, &error))?;
            let id = LetterId::of(&exported.message.id);
            if self.seen.insert(id) {
                self.learned.insert(id, (exported.why, exported.job_type));
                letters.push(Held { message: exported.message, until: u64::MAX });
            }
        }
        Ok(if letters.is_empty() { Look::Over } else { Look::Letters(letters) })
    }
}

/// Returns the mark of an export, by which a resumed replay recognizes the same file.
///
/// # Errors
///
/// Returns an error if the file is no export, or an export of another DLQ.
pub(super) fn mark(path: &Path, queue: &DeadLetterQueue, any_queue: bool) -> Result<FileMark, ExitError> {
    let (header, _) = open(path)?;
    let is_other = queue.arn.is_some() && header.dlq_arn.is_some() && header.dlq_arn != queue.arn;
    if is_other && !any_queue {
        return Err(ExitError::usage(format!(
            "--from {}: it is an export of {}, and not of {}; --to names the queue to send to",
            path.display(),
            header.dlq,
            queue.name
        )));
    }
    let mut file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let (mut hasher, mut part) = (FileHasher::default(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut part).map_err(|error| unreadable(path, &error))? {
            0 => break,
            length => hasher.add(&part[..length]),
        }
    }
    Ok(hasher.mark(&std::path::absolute(path)?.display().to_string()))
}

fn open(path: &Path) -> Result<(Header, Lines<BufReader<File>>), ExitError> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    Lines::open(BufReader::new(file)).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &impl std::fmt::Display) -> ExitError {
    ExitError::usage(format!("--from {}: {error}", path.display()))
}
