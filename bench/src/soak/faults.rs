//! The faults of each minute: first the store's, then those of SQS, each long enough to matter, and short enough to leave quiet
//! seconds.

use anyhow::Result;

use crate::faults::queue::{EVERY_ACTION, Fault, FaultQueue};
use xtask::service::lasting::LastingServer;

const MINUTE: u64 = 60;
/// The seconds of each minute in which the store fails.
const STORE: (u64, u64) = (15, 30);
const SQS: (u64, u64) = (38, 50);

/// The faults of SQS, in turn.
const FAULTS_OF_SQS: [(Fault, u8); 3] = [(Fault::Internal, 50), (Fault::Dropped, 30), (Fault::Internal, 100)];

/// The active faults.
#[derive(Debug, Default)]
pub(super) struct Faults {
    store: Option<OfStore>,
    sqs: bool,
}

#[derive(Debug, Clone, Copy)]
enum OfStore {
    Frozen,
    Killed,
}

impl Faults {
    /// Starts and ends the faults of this second.
    pub(super) fn step(&mut self, second: u64, store: &mut LastingServer, queue: &FaultQueue) -> Result<()> {
        let (minute, second) = (second / MINUTE, second % MINUTE);
        if second == STORE.0 {
            self.begin_store(minute, store)?;
        } else if second == STORE.1 {
            self.end_store(store)?;
        } else if second == SQS.0 {
            let turn = usize::try_from(minute)? % FAULTS_OF_SQS.len();
            let (fault, percent) = FAULTS_OF_SQS[turn];
            queue.fail(EVERY_ACTION, fault, percent)?;
            self.sqs = true;
        } else if second == SQS.1 {
            self.end_sqs(queue)?;
        }
        Ok(())
    }

    /// Ends the active faults.
    pub(super) fn end(&mut self, store: &mut LastingServer, queue: &FaultQueue) -> Result<()> {
        self.end_store(store)?;
        self.end_sqs(queue)
    }

    fn begin_store(&mut self, minute: u64, store: &mut LastingServer) -> Result<()> {
        let fault = if minute.is_multiple_of(2) { OfStore::Frozen } else { OfStore::Killed };
        match fault {
            OfStore::Frozen => store.freeze()?,
            OfStore::Killed => store.kill(),
        }
        self.store = Some(fault);
        Ok(())
    }

    fn end_store(&mut self, store: &mut LastingServer) -> Result<()> {
        match self.store.take() {
            None => Ok(()),
            Some(OfStore::Frozen) => store.thaw(),
            Some(OfStore::Killed) => store.restart(),
        }
    }

    fn end_sqs(&mut self, queue: &FaultQueue) -> Result<()> {
        if std::mem::take(&mut self.sqs) { queue.heal(EVERY_ACTION) } else { Ok(()) }
    }
}
