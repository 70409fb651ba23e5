//! The thread that owns the connection: SQLite blocks, and the runtime must not block.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::database::{self, failure};
use super::histories::remove_expired;
use crate::open::OpenError;
use crate::store::{StoreError, now_ms};

/// The largest number of calls that wait for the thread: more than a process has jobs.
const MAX_WAITING: usize = 4_096;

/// The longest time that a call may take, as in other stores.
const PATIENCE: Duration = Duration::from_secs(3);

/// The time between two removals of expired rows. Expired rows count as absent anyway.
const REMOVE_EVERY: Duration = Duration::from_secs(60);

/// The time to the next removal if there were more rows than one removal handles: faster than rows can be added.
const REMOVE_MORE: Duration = Duration::from_millis(100);

/// The largest number of calls that share a transaction and its sync: with more, a renewal would wait too long.
const MAX_BATCH: usize = 64;

/// The time in which other processes can lock the file between two transactions: SQLite's lock is not fair, and a process that
/// polls would otherwise never get it.
const GAP: Duration = Duration::from_micros(100);

/// A call's part of a transaction. Its result answers the caller after the transaction is committed or has failed.
type Call = Box<dyn FnOnce(Result<(&Connection, u64), StoreError>) -> Answer + Send>;
type Answer = Box<dyn FnOnce(Result<(), StoreError>)>;

pub(super) struct Thread {
    calls: SyncSender<Call>,
    path: Arc<Path>,
}

impl Thread {
    /// Opens the file on a new thread, which ends with this value.
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
            // This fails only if the opening was abandoned, and then there are no calls either.
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

    /// Runs a part of a transaction. It is skipped if its caller gives up before it begins.
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
            // An error of the call itself is more precise than that of the commit, which may follow from it.
            Box::new(move |committed| {
                drop(answer.send(match value {
                    Err(error) => Err(error),
                    Ok(value) => committed.map(|()| value),
                }));
            })
        };
        self.calls.try_send(Box::new(call)).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Unanswered(
                format!("{}: {MAX_WAITING} calls wait: its disk is too slow", self.path.display()).into(),
            ),
            TrySendError::Disconnected(_) => gone(&self.path),
        })?;
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
    StoreError::Unanswered(format!("{}: its thread has ended: restart the worker", path.display()).into())
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
        // Some errors, such as a full disk, end the whole transaction.
        let is_open = !transaction.is_autocommit();
        let ended = || StoreError::Unanswered(format!("{}: its transaction failed", path.display()).into());
        answers.push(call(if is_open { Ok((&transaction, now_ms())) } else { Err(ended()) }));
    }
    let committed = transaction.commit().map_err(|error| failed(&error));
    for answer in answers {
        answer(committed.clone());
    }
}

/// Runs a call. If it fails, undoes its changes, but not those of the others.
fn part<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    connection.execute_batch("SAVEPOINT part")?;
    let value = work(connection);
    let has_ended_all = connection.is_autocommit();
    if !has_ended_all {
        connection.execute_batch(if value.is_ok() {
            "RELEASE part"
        } else {
            "ROLLBACK TO part; RELEASE part"
        })?;
    }
    value
}

/// Removes expired rows, and returns the time of the next removal.
fn removed(connection: &mut Connection) -> Instant {
    let more = database::without_waiting(connection, remove).unwrap_or_else(|error| {
        tracing::debug!(%error, "expired records stay for another while");
        database::is_locked(&error)
    });
    Instant::now() + if more { REMOVE_MORE } else { REMOVE_EVERY }
}

/// Removes expired rows and frees their space. Returns true if there may be more.
fn remove(connection: &mut Connection) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let more = remove_expired(&transaction, now_ms())?;
    transaction.commit()?;
    free_space(connection)?;
    Ok(more)
}

/// Returns the space of removed rows to the file system, up to 1,000 pages. Each page is a step of the statement.
fn free_space(connection: &Connection) -> rusqlite::Result<()> {
    let mut pages = connection.prepare("PRAGMA incremental_vacuum(1000)")?;
    let mut pages = pages.query([])?;
    while pages.next()?.is_some() {}
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_space_of_removed_rows_is_freed() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = database::open(&folder.path().join("jobs.db")).unwrap();
        let free = |connection: &Connection| -> i64 {
            connection.pragma_query_value(None, "freelist_count", |row| row.get(0)).unwrap()
        };
        let add = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
            INSERT INTO progress SELECT i, i, hex(zeroblob(8192)), 1, 1 FROM n";
        connection.execute_batch(add).unwrap();
        remove_expired(&connection, 2).unwrap();
        assert!(free(&connection) > 100);
        remove(&mut connection).unwrap();
        assert_eq!(free(&connection), 0);
    }

    #[tokio::test]
    async fn an_error_that_ends_the_transaction_is_returned() {
        let folder = tempfile::tempdir().unwrap();
        let thread = Thread::start(folder.path().join("jobs.db")).await.unwrap();
        let failed = thread.call(|connection, _| -> rusqlite::Result<()> {
            // SQLite does this itself if the disk is full.
            connection.execute_batch("ROLLBACK")?;
            Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(13), None))
        });
        let error = failed.await.unwrap_err().to_string();
        assert!(error.contains("its disk is full"), "{error}");
        assert_eq!(thread.call(|_, _| Ok(7)).await, Ok(7));
    }

    #[tokio::test]
    async fn a_full_queue_is_another_error_than_a_thread_that_has_ended() {
        let (calls, waiting) = sync_channel::<Call>(0);
        let thread = Thread { calls, path: Path::new("jobs.db").into() };
        let full = thread.call(|_, _| Ok(())).await.unwrap_err().to_string();
        assert_eq!(full, "jobs.db: 4096 calls wait: its disk is too slow");
        drop(waiting);
        let ended = thread.call(|_, _| Ok(())).await.unwrap_err().to_string();
        assert_eq!(ended, "jobs.db: its thread has ended: restart the worker");
    }
}
