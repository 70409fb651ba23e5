//! The record of the action that this process runs. The action is recorded before it begins, reported every few seconds, and
//! recorded again when it ends.
//!
//! A separate task writes the reports, and checks whether another operator wants the action to end. The action continues if the
//! store does not answer; until the store answers again, the action is shown as interrupted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drumline_consumer::ExitError;
use drumline_dlq::action::{ActionRecord, ActionState, Beginning, Counts, check_name};
use drumline_store::StoreError;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::action_store::ActionStore;
use crate::format::{note, now_ms, shell, short};

/// The time between two reads of the record. The process notices an abort within this time plus two calls of the store.
const EVERY: Duration = Duration::from_secs(2);

/// The time between two reports of an action whose counts stay the same, and between two renewals of its lock: a third of the
/// time after which the action counts as interrupted.
const AT_LEAST_EVERY: Duration = Duration::from_secs(20);

/// The number of attempts at a change that conflicts with changes of other processes.
const TRIES: u32 = 5;

/// Determines if an action locks its DLQ against other actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Locking {
    /// The action sends or deletes letters. A second such action is refused.
    Exclusive,
    /// The action changes nothing.
    Shared,
}

/// The record of the running action.
pub(super) struct ActionLog {
    store: ActionStore,
    action: ActionRecord,
    locking: Locking,
    counts: Arc<Mutex<Counts>>,
    stop: watch::Receiver<Option<String>>,
    reports: JoinHandle<()>,
}

impl ActionLog {
    /// Records the begin of an action and locks its DLQ.
    ///
    /// # Errors
    /// Returns an error if the name is taken, or if another action has locked the DLQ.
    pub(super) async fn begin(
        store: ActionStore,
        beginning: Beginning,
        locking: Locking,
    ) -> Result<Self, ExitError> {
        // The command line checks names before. Names from files that are resumed are not checked.
        check_name(&beginning.name).map_err(ExitError::usage)?;
        let action = ActionRecord::begun(beginning, now_ms());
        lock(&store, &action, locking).await?;
        match store.put_action(None, &action).await {
            Ok(true) => Ok(Self::start(store, action, locking)),
            refused => {
                unlock(&store, &action, locking).await;
                let taken = store.action(&action.name).await;
                Err(match (refused, taken) {
                    (Ok(_), Ok(Some(taken))) => name_taken(&taken.value),
                    (Err(error), _) | (_, Err(error)) => unrecorded(&store, &error),
                    (Ok(_), Ok(None)) => ExitError::other(format!("{} changes all the time", action.name)),
                })
            }
        }
    }

    /// Records that an action is resumed, and locks its DLQ. An action that the store no longer knows is recorded as new.
    ///
    /// # Errors
    /// Returns an error if the action is done, if a process on another host runs it, or if another action has locked the DLQ.
    pub(super) async fn resume(
        store: ActionStore,
        beginning: Beginning,
        locking: Locking,
    ) -> Result<Self, ExitError> {
        let before = store.action(&beginning.name).await.map_err(|error| unrecorded(&store, &error))?;
        let Some(before) = before else { return Self::begin(store, beginning, locking).await };
        if (before.value.kind, &before.value.dlq) != (beginning.kind, &beginning.dlq) {
            return Err(name_taken(&before.value));
        }
        let resumed = before.value.resumed(beginning.host.as_deref(), &beginning.bounds, now_ms());
        let action = resumed.map_err(|error| ExitError::usage(error.to_string()))?;
        lock(&store, &action, locking).await?;
        match store.put_action(Some(&before), &action).await {
            Ok(true) => Ok(Self::start(store, action, locking)),
            Ok(false) => {
                unlock(&store, &action, locking).await;
                Err(ExitError::other(format!("{} was resumed or aborted by another process", action.name)))
            }
            Err(error) => {
                unlock(&store, &action, locking).await;
                Err(unrecorded(&store, &error))
            }
        }
    }

    fn start(store: ActionStore, action: ActionRecord, locking: Locking) -> Self {
        let counts = Arc::new(Mutex::new(action.counts.clone()));
        let (sender, stop) = watch::channel(None);
        let reporter = Reporter {
            store: store.clone(),
            action: action.clone(),
            locking,
            counts: Arc::clone(&counts),
            stop: sender,
        };
        let reports = tokio::spawn(reporter.run());
        Self { store, action, locking, counts, stop, reports }
    }

    /// Returns the action as it was recorded at its begin.
    pub(super) fn action(&self) -> &ActionRecord {
        &self.action
    }

    /// Sets the counts for the next report.
    pub(super) fn report(&self, counts: Counts) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }

    /// Returns the reason why the action must end, if there is one: an operator aborts it, or another action has locked its
    /// DLQ.
    pub(super) fn stop_asked(&self) -> Option<String> {
        self.stop.borrow().clone()
    }

    /// Waits until the action must end, and returns the reason. Cancel-safe.
    pub(super) async fn until_stopped(&self) -> String {
        let mut stop = self.stop.clone();
        let reason = stop.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        match reason {
            Some(reason) => reason,
            // No more reports follow, so the action cannot be stopped.
            None => std::future::pending().await,
        }
    }

    /// Records the end of the action by its result. `left` is the reason why some of the matching letters are left.
    pub(super) async fn end_as<T>(&self, result: &Result<T, ExitError>, left: Option<&str>) {
        let stop = self.stop_asked();
        let (state, why) = match (result, left, stop) {
            (Ok(_), None, _) => (ActionState::Done, None),
            (Ok(_), Some(left), _) => (ActionState::Stopped, Some(left.to_owned())),
            (Err(_), _, Some(stop)) => (ActionState::Aborted, Some(stop)),
            (Err(error), _, None) if error.to_string().is_empty() => (ActionState::Interrupted, None),
            (Err(error), _, None) => (ActionState::Stopped, Some(error.to_string())),
        };
        self.end(state, why.as_deref()).await;
    }

    /// Records the end of the action, and unlocks its DLQ.
    pub(super) async fn end(&self, state: ActionState, why: Option<&str>) {
        self.reports.abort();
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ended = |action: &ActionRecord| action.ended(state, why, &counts, now_ms());
        if let Err(error) = change(&self.store, &self.action, ended).await {
            note(&format!(
                "the end of {} is not recorded in {}: {error}",
                self.action.name,
                self.store.name()
            ));
        }
        unlock(&self.store, &self.action, self.locking).await;
    }
}

impl Drop for ActionLog {
    fn drop(&mut self) {
        self.reports.abort();
    }
}

/// The task that reports.
struct Reporter {
    store: ActionStore,
    action: ActionRecord,
    locking: Locking,
    counts: Arc<Mutex<Counts>>,
    stop: watch::Sender<Option<String>>,
}

impl Reporter {
    async fn run(self) {
        let (mut reported, mut locked) = (Instant::now(), Instant::now());
        loop {
            tokio::time::sleep(EVERY).await;
            // The store may answer the next time.
            if let Ok(Some(read)) = self.store.action(&self.action.name).await {
                if let Some(abort) = &read.value.abort {
                    self.stop(format!("aborted by {}", abort.by));
                } else if read.value.state == ActionState::Aborted {
                    self.stop(read.value.why.clone().unwrap_or_else(|| "aborted".to_owned()));
                    return;
                }
            }
            let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let is_due = reported.elapsed() >= AT_LEAST_EVERY;
            let report = |action: &ActionRecord| {
                let is_news = action.state == ActionState::Running && (is_due || action.counts != counts);
                if is_news { action.reported(&counts, now_ms()) } else { action.clone() }
            };
            if change(&self.store, &self.action, report).await.is_ok() && is_due {
                reported = Instant::now();
            }
            if locked.elapsed() >= AT_LEAST_EVERY {
                match lock(&self.store, &self.action, self.locking).await {
                    Ok(()) => locked = Instant::now(),
                    Err(LockError::Held(text)) => self.stop(text),
                    Err(LockError::Store(_)) => {}
                }
            }
        }
    }

    fn stop(&self, reason: String) {
        self.stop.send_if_modified(|stop| {
            let is_first = stop.is_none();
            stop.get_or_insert(reason);
            is_first
        });
    }
}

/// Changes the record of an action, even while other processes write to it. A record that the store does not have is written
/// again.
async fn change(
    store: &ActionStore,
    action: &ActionRecord,
    change: impl Fn(&ActionRecord) -> ActionRecord,
) -> Result<(), StoreError> {
    for _ in 0..TRIES {
        let before = store.action(&action.name).await?;
        let after = change(before.as_ref().map_or(action, |before| &before.value));
        if before.as_ref().is_some_and(|before| before.value == after)
            || store.put_action(before.as_ref(), &after).await?
        {
            return Ok(());
        }
    }
    Err(StoreError::Unanswered(format!("{} changes all the time", action.name).into()))
}

/// The reason why a DLQ could not be locked.
enum LockError {
    /// Another action has locked it.
    Held(String),
    Store(StoreError),
}

/// Locks the DLQ of an action or renews its lock.
async fn lock(store: &ActionStore, action: &ActionRecord, locking: Locking) -> Result<(), LockError> {
    if locking == Locking::Shared {
        return Ok(());
    }
    for _ in 0..TRIES {
        let before = store.lock(&action.dlq).await.map_err(LockError::Store)?;
        let now = now_ms();
        let wanted = action.lock(now);
        if let Some(holder) = before.as_ref().map(|before| &before.value)
            && holder.refuses(&wanted, now)
        {
            return Err(LockError::Held(format!(
                "the {} {} of {} has this DLQ since {}: wait for its end, or end it with `dlq actions abort {}`",
                holder.kind,
                holder.name,
                holder.actor,
                short(now.saturating_sub(holder.since)),
                shell([&holder.name])
            )));
        }
        if store.put_lock(&action.dlq, before.as_ref(), &wanted).await.map_err(LockError::Store)? {
            return Ok(());
        }
    }
    let text = format!("the lock of {} changes all the time", action.dlq);
    Err(LockError::Store(StoreError::Unanswered(text.into())))
}

/// Unlocks the DLQ of an action. If that fails, the lock expires.
async fn unlock(store: &ActionStore, action: &ActionRecord, locking: Locking) {
    if locking == Locking::Exclusive
        && let Ok(Some(lock)) = store.lock(&action.dlq).await
        && lock.value.has_holder_of(&action.lock(now_ms()))
    {
        let _ = store.put_lock(&action.dlq, Some(&lock), &lock.value.released()).await;
    }
}

impl From<LockError> for ExitError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Held(text) => Self::other(text),
            LockError::Store(error) => Self::unavailable(format!("the action cannot be recorded: {error}")),
        }
    }
}

fn unrecorded(store: &ActionStore, error: &StoreError) -> ExitError {
    ExitError::unavailable(format!("the action cannot be recorded in {}: {error}", store.name()))
}

fn name_taken(action: &ActionRecord) -> ExitError {
    let ActionRecord { name, kind, actor, dlq, started_at, .. } = action;
    let now = now_ms();
    ExitError::usage(format!(
        "the name {name} is taken by a {kind} of {actor} on {dlq}, begun {} ago and {}: give another one by --name",
        short(now.saturating_sub(*started_at)),
        action.state(now)
    ))
}

#[cfg(test)]
#[path = "action_log_tests.rs"]
mod tests;
