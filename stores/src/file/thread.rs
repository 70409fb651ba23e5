//! The thread that owns the connection: SQLite blocks, and the runtime must not.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::database::{self, failure};
use super::histories::remove_expired;
use crate::open::OpenError;
use crate::store::StoreError;

/// The most calls that wait for the thread: more than a process has jobs.
const MAX_WAITING: usize = 4_096;

/// The longest time that a call may take, as in other stores.
const PATIENCE: Duration = Duration::from_secs(3);

/// The time between two looks for expired rows. They count as absent anyway.
const REMOVE_EVERY: Duration = Duration::from_secs(60);

/// The time to the next look if there were more than are removed at once: faster than rows can be added.
const REMOVE_MORE: Duration = Duration::from_millis(100);

/// The most calls that share a transaction, and its wait for the disk: more would make a renewal wait long.
const MAX_BATCH: usize = 64;

/// The time that the file is left to other processes between two transactions: SQLite's lock is not fair, and one that looks again
/// and again would else never find it free.
const GAP: Duration = Duration::from_micros(100);

/// A call's part of a transaction. What it returns answers the caller once the transaction is committed, or is not.
type Call = Box<dyn FnOnce(Result<(&Connection, u64), StoreError>) -> Answer + Send>;
type Answer = Box<dyn FnOnce(Result<(), StoreError>)>;

pub(super) struct Thread {
    calls: SyncSender<Call>,
    path: Arc<Path>,
}

impl Thread {
    /// Opens the file on a thread of its own, which ends with this value.
    pub(super) async fn start(path: PathBuf) -> Result<Self, OpenError> {
        let path: Arc<Path> = path.into();
        let (calls, waiting) = sync_channel::<Call>(MAX_WAITING);
        let (opened, result) = oneshot::channel();
        let of_thread = Arc::clone(&path);
        let run = move || {
            let mut connection = match database::open(&of_thread) {
                Ok(connection) => connection,
                Err(error) => return drop(opened.send(Err(error))),
            };
            // Fails only if the opening was given up, and then there are no calls either.
            drop(opened.send(Ok(())));
            let mut next_removal = removed(&mut connection);
            while let Ok(first) = waiting.recv() {
                let others = waiting.try_iter().take(MAX_BATCH - 1);
                transact(&mut connection, &of_thread, std::iter::once(first).chain(others).collect());
                std::thread::sleep(GAP);
                if next_removal < Instant::now() {
                    next_removal = removed(&mut connection);
                }
            }
        };
        let thread = std::thread::Builder::new().name("drumline-file-store".to_owned()).spawn(run);
        thread.map_err(|error| OpenError::Unavailable(StoreError::Unanswered(error.to_string().into())))?;
        result.await.unwrap_or_else(|_| Err(OpenError::Unavailable(gone(&path))))?;
        Ok(Self { calls, path })
    }

    /// Runs a part of a transaction. One that has not begun when its caller gives up is left out.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, u64) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let path = Arc::clone(&self.path);
        let call = move |begun: Result<(&Connection, u64), StoreError>| -> Answer {
            if answer.is_closed() {
                return Box::new(|_| ());
            }
            let value = begun.and_then(|(connection, now)| {
                let value = part(connection, |connection| work(connection, now));
                value.map_err(|error| failure(&path, &error))
            });
            Box::new(move |committed| drop(answer.send(committed.and(value))))
        };
        if self.calls.try_send(Box::new(call)).is_err() {
            return Err(gone(&self.path));
        }
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(gone(&self.path)),
            Err(_) => Err(StoreError::Unanswered(
                format!("{}: no answer within {} s", self.path.display(), PATIENCE.as_secs()).into(),
            )),
        }
    }
}

fn gone(path: &Path) -> StoreError {
    StoreError::Unanswered(format!("{}: its thread takes no more calls", path.display()).into())
}

/// Runs calls as one transaction, and answers them.
fn transact(connection: &mut Connection, path: &Path, calls: Vec<Call>) {
    let failed = |error: &rusqlite::Error| failure(path, error);
    let transaction = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(transaction) => transaction,
        Err(error) => {
            for call in calls {
                call(Err(failed(&error)))(Ok(()));
            }
            return;
        }
    };
    let mut answers = Vec::with_capacity(calls.len());
    for call in calls {
        // Some errors, such as that of a full disk, end the whole transaction.
        let is_open = !transaction.is_autocommit();
        let ended = || StoreError::Unanswered(format!("{}: its transaction failed", path.display()).into());
        answers.push(call(if is_open { Ok((&transaction, now_ms())) } else { Err(ended()) }));
    }
    let committed = transaction.commit().map_err(|error| failed(&error));
    for answer in answers {
        answer(committed.clone());
    }
}

/// Undoes the changes of a call that fails, and not those of the others.
fn part<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    connection.execute_batch("SAVEPOINT part")?;
    let value = work(connection);
    if value.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK TO part")?;
    }
    if !connection.is_autocommit() {
        connection.execute_batch("RELEASE part")?;
    }
    value
}

/// Removes expired rows, and returns when to do so again.
fn removed(connection: &mut Connection) -> Instant {
    let more = remove(connection).unwrap_or_else(|error| {
        tracing::debug!(%error, "expired records stay for another while");
        false
    });
    Instant::now() + if more { REMOVE_MORE } else { REMOVE_EVERY }
}

/// Returns true if there may be more of them.
fn remove(connection: &mut Connection) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let more = remove_expired(&transaction, now_ms())?;
    transaction.commit()?;
    connection.execute_batch("PRAGMA incremental_vacuum(1000)")?;
    Ok(more)
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
