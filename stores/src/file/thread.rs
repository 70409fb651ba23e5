//! The thread that owns the connection: SQLite blocks, and the runtime must not.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::database::{self, failure};
use super::histories::remove_expired;
use crate::open::OpenError;
use crate::store::StoreError;

/// How many calls may wait for the thread: more than a process has jobs.
const MAX_WAITING: usize = 4_096;

/// How long a call may take, as in other stores.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often expired rows are looked for. They count as absent anyway.
const REMOVE_EVERY: Duration = Duration::from_secs(60);

type Call = Box<dyn FnOnce(&mut Connection) + Send>;

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
            let mut removed = Instant::now();
            while let Ok(call) = waiting.recv() {
                call(&mut connection);
                if removed.elapsed() > REMOVE_EVERY {
                    removed = Instant::now();
                    if let Err(error) = remove(&mut connection) {
                        tracing::debug!(%error, "expired records stay for another while");
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name("drumline-file-store".to_owned()).spawn(run);
        thread.map_err(|error| OpenError::Unavailable(StoreError::Unanswered(error.to_string().into())))?;
        result.await.unwrap_or_else(|_| Err(OpenError::Unavailable(gone(&path))))?;
        Ok(Self { calls, path })
    }

    /// Runs a transaction. One that has not begun when its caller gives up is left out.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>, u64) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let call = move |connection: &mut Connection| {
            if !answer.is_closed() {
                drop(answer.send(transact(connection, work)));
            }
        };
        if self.calls.try_send(Box::new(call)).is_err() {
            return Err(gone(&self.path));
        }
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(result)) => result.map_err(|error| failure(&self.path, &error)),
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

fn transact<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>, u64) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = work(&transaction, now_ms())?;
    transaction.commit()?;
    Ok(value)
}

fn remove(connection: &mut Connection) -> rusqlite::Result<()> {
    transact(connection, |transaction, now| remove_expired(transaction, now))?;
    connection.execute_batch("PRAGMA incremental_vacuum(1000)")
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
