//! The meaning of a journal's lines: the sent letters, the letters still to delete, and the letters in doubt.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::BufRead;

use super::record::{Header, JOURNAL_VERSION, Plan, Planned, Record};
use crate::fix::Fix;
use crate::letter_id::LetterId;

/// The state of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    header: Header,
    chosen: Option<HashSet<LetterId>>,
    edits: BTreeMap<String, Option<Fix>>,
    sent: HashSet<LetterId>,
    new_messages: HashSet<LetterId>,
    returned: HashSet<LetterId>,
    undeleted: BTreeMap<u64, Plan>,
    open: Option<Plan>,
    doubtful: usize,
    /// The letters of interrupted batches, with the time and the queue of the batch.
    interrupted: HashMap<LetterId, (u64, String)>,
    per_queue: BTreeMap<String, u64>,
    next_batch: u64,
    hold_secs: u64,
    is_over: bool,
}

/// The reason why a file is no journal of this program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// The file has no first line.
    #[error("it is empty")]
    Empty,
    /// The first line is not that of a journal.
    #[error("it does not begin as a journal does")]
    NoHeader,
    /// The format is newer than this program.
    #[error("its format has the version {0}, and this program reads {JOURNAL_VERSION}")]
    Version(u32),
    /// A line cannot follow the previous lines.
    #[error("line {0} cannot be read: {1}")]
    Line(usize, String),
}

impl State {
    /// Returns the state of a new journal.
    pub fn new(header: Header) -> Self {
        Self {
            hold_secs: header.hold_secs,
            header,
            chosen: None,
            edits: BTreeMap::new(),
            sent: HashSet::new(),
            new_messages: HashSet::new(),
            returned: HashSet::new(),
            undeleted: BTreeMap::new(),
            open: None,
            doubtful: 0,
            interrupted: HashMap::new(),
            per_queue: BTreeMap::new(),
            next_batch: 0,
            is_over: false,
        }
    }

    /// Reads a journal line by line. Also returns the length of its complete lines: an incomplete last line was never acted
    /// upon, and the caller cuts it off.
    ///
    /// # Errors
    /// If the file is not a journal, or a line before the last one cannot be read.
    pub fn read(mut journal: impl BufRead) -> Result<(Self, u64), Corrupt> {
        let (mut line, mut length) = (Vec::new(), 0);
        let mut state: Option<Self> = None;
        for number in 1.. {
            let corrupt = |why: String| Corrupt::Line(number, why);
            line.clear();
            journal.read_until(b'\n', &mut line).map_err(|error| corrupt(error.to_string()))?;
            if line.last() != Some(&b'\n') {
                break;
            }
            let record = serde_json::from_slice(&line);
            match &mut state {
                None => state = Some(Self::new(header(record)?)),
                Some(state) => {
                    let record = record.map_err(|error| corrupt(error.to_string()))?;
                    state.apply(&record).map_err(|why| corrupt(why.to_owned()))?;
                }
            }
            length += line.len() as u64;
        }
        Ok((state.ok_or(Corrupt::Empty)?, length))
    }

    /// Returns the edits, by letter or group; `None` for skipped ones.
    pub fn edits(&self) -> &BTreeMap<String, Option<Fix>> {
        &self.edits
    }

    /// Adds a line.
    ///
    /// # Errors
    /// The reason as a text, if it cannot follow the previous lines.
    pub fn apply(&mut self, record: &Record) -> Result<(), &'static str> {
        match record {
            Record::Begin(_) => return Err("the journal begins a second time"),
            Record::Chosen { letters } => {
                let parsed = letters.iter().map(|hex| u128::from_str_radix(hex, 16).ok().map(LetterId::from));
                let numbers: Option<Vec<LetterId>> = parsed.collect();
                self.chosen.get_or_insert_default().extend(numbers.ok_or("a letter is no number")?);
            }
            Record::Edited { key, fix } => {
                self.edits.insert(key.clone(), fix.clone());
            }
            Record::Resumed { hold_secs, .. } => {
                self.is_over = false;
                self.hold_secs = *hold_secs;
                if let Some(plan) = self.open.take() {
                    self.doubt(&plan);
                }
            }
            Record::Resent { batch, .. } => {
                let plan = self.open.clone().filter(|plan| plan.batch == *batch);
                self.doubt(&plan.ok_or("a batch is sent once more that was not planned")?);
            }
            Record::Plan(plan) => {
                if self.open.is_some() || plan.batch < self.next_batch {
                    return Err("a batch is planned before the one before it was sent");
                }
                self.next_batch = plan.batch + 1;
                self.open = Some(plan.clone());
            }
            Record::Found { letter } => {
                let id = LetterId::of(letter);
                let (_, queue) =
                    self.interrupted.remove(&id).ok_or("a letter is found that was not in doubt")?;
                self.sent.insert(id);
                *self.per_queue.entry(queue).or_default() += 1;
            }
            Record::Sent { batch, ids, .. } => self.confirm(*batch, ids)?,
            Record::Gone { batch, places } => self.forget(*batch, places)?,
            Record::Returned { message } => {
                self.returned.insert(LetterId::of(message));
            }
            Record::Left { .. } | Record::Canary { .. } => {}
            Record::Stopped { .. } | Record::Ended { .. } => self.is_over = true,
        }
        Ok(())
    }

    /// Records that the letters of a batch may have been sent.
    fn doubt(&mut self, plan: &Plan) {
        for id in plan.letters.iter().map(|letter| LetterId::of(&letter.letter)) {
            // Of several sends the first counts, because each of them may have succeeded.
            if let Entry::Vacant(entry) = self.interrupted.entry(id) {
                entry.insert((plan.at, plan.queue.clone()));
                self.doubtful += 1;
            }
        }
    }

    fn confirm(&mut self, batch: u64, ids: &[Option<String>]) -> Result<(), &'static str> {
        let plan = self.open.take_if(|plan| plan.batch == batch && plan.letters.len() == ids.len());
        let mut plan = plan.ok_or("a batch was sent that was not planned so")?;
        let mut count = 0;
        for (letter, id) in plan.letters.iter_mut().zip(ids) {
            match id {
                Some(id) => {
                    count += 1;
                    self.sent.insert(LetterId::of(&letter.letter));
                    self.interrupted.remove(&LetterId::of(&letter.letter));
                    self.new_messages.insert(LetterId::of(id));
                }
                // It keeps its place, and is not deleted.
                None => letter.receipt = None,
            }
        }
        *self.per_queue.entry(plan.queue.clone()).or_default() += count;
        if plan.letters.iter().any(|letter| letter.receipt.is_some()) {
            self.undeleted.insert(batch, plan);
        }
        Ok(())
    }

    fn forget(&mut self, batch: u64, places: &[usize]) -> Result<(), &'static str> {
        if batch >= self.next_batch || self.open.as_ref().is_some_and(|open| open.batch == batch) {
            return Err("letters are gone that were not sent");
        }
        // A letter that was received once more is deleted with both receipts.
        let Some(plan) = self.undeleted.get_mut(&batch) else { return Ok(()) };
        for place in places {
            plan.letters.get_mut(*place).ok_or("a letter is gone that its batch does not have")?.receipt =
                None;
        }
        if plan.letters.iter().all(|letter| letter.receipt.is_none()) {
            self.undeleted.remove(&batch);
        }
        Ok(())
    }

    /// The first line.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns true if this letter may be sent: it was chosen, if letters were chosen, and it has not been sent.
    pub fn may_send(&self, letter: LetterId) -> bool {
        !self.was_sent(letter) && self.chosen.as_ref().is_none_or(|chosen| chosen.contains(&letter))
    }

    /// Returns true if SQS has confirmed the send of this letter. Such a letter is deleted, and never sent again.
    pub fn was_sent(&self, letter: LetterId) -> bool {
        self.sent.contains(&letter)
    }

    /// Returns true if this action sent this message. Such a message in the DLQ has died once more.
    pub fn is_own(&self, message: LetterId) -> bool {
        self.new_messages.contains(&message)
    }

    /// Returns the number of letters that were chosen before the first was sent; `None` if all matching letters are sent.
    pub fn chosen(&self) -> Option<usize> {
        self.chosen.as_ref().map(HashSet::len)
    }

    /// Returns the number of sent letters.
    pub fn sent(&self) -> usize {
        self.sent.len()
    }

    /// Returns the number of this action's messages that are in the DLQ again.
    pub fn returned(&self) -> usize {
        self.returned.len()
    }

    /// Returns the numbers of sent letters by the URL of their queue.
    pub fn per_queue(&self) -> &BTreeMap<String, u64> {
        &self.per_queue
    }

    /// Returns the number of letters of batches without an answer, which may have been sent twice.
    pub fn doubtful(&self) -> usize {
        self.doubtful
    }

    /// Returns the time of the interrupted batch with this letter, in milliseconds since the Unix epoch. The batch may have
    /// sent the letter.
    pub fn interrupted_at(&self, letter: LetterId) -> Option<u64> {
        self.interrupted.get(&letter).map(|(at, _)| *at)
    }

    /// Returns the batch that was planned last, if no answer to its send is known.
    pub fn open(&self) -> Option<&Plan> {
        self.open.as_ref()
    }

    /// Returns the letters that were sent and may not be deleted yet, with batch and place.
    pub fn undeleted(&self) -> impl Iterator<Item = (u64, usize, &Planned)> {
        self.undeleted.iter().flat_map(|(batch, plan)| {
            let letters = plan.letters.iter().enumerate().filter(|(_, letter)| letter.receipt.is_some());
            letters.map(move |(place, letter)| (*batch, place, letter))
        })
    }

    /// Returns the plan of a sent batch with letters that may not be deleted yet.
    pub(super) fn undeleted_batch(&self, batch: u64) -> Option<&Plan> {
        self.undeleted.get(&batch)
    }

    /// Returns the number of the next batch.
    pub fn next_batch(&self) -> u64 {
        self.next_batch
    }

    /// Returns the number of seconds for which its last process has hidden received letters.
    pub fn hold_secs(&self) -> u64 {
        self.hold_secs
    }

    /// Returns true if the action has ended or stopped by itself. Otherwise its process was killed.
    pub fn is_over(&self) -> bool {
        self.is_over
    }
}

/// Returns the header in the first line.
fn header(first: serde_json::Result<Record>) -> Result<Header, Corrupt> {
    match first {
        Ok(Record::Begin(header)) if header.drumline_journal == JOURNAL_VERSION => Ok(header),
        Ok(Record::Begin(header)) => Err(Corrupt::Version(header.drumline_journal)),
        Ok(_) | Err(_) => Err(Corrupt::NoHeader),
    }
}
