//! The scheduler, which makes a pass over the timetable when an instant is due.
//!
//! Any number of schedulers of one timetable can run. One of them leads, by a lease in the outbox, and the others stand by. The
//! lease only saves work: each firing changes the state of its schedule and adds its job in one atomic step, so only one
//! scheduler succeeds.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use drumline_store::StoreError;
use drumline_store::outbox::Outbox;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, error, info, warn};

use crate::pass::{BEHIND_THE_LEADER, Passed, Role, pass};
use crate::timetable::Timetable;

/// The length of the leader's lease. Another scheduler takes over within it, well before a firing counts as missed.
const LEASE: Duration = Duration::from_secs(10);

/// The longest sleep. After it, the lease is renewed and the outbox's clock is read again, so that neither drift nor a set
/// clock matters.
const LONGEST_SLEEP: Duration = Duration::from_secs(3);

/// The waits between passes that fail, from the first to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The longest wait before a pass that should follow at once.
const MOST_APART: Duration = Duration::from_millis(50);

/// The time limit for releasing the lease at the end. If the outbox does not respond, the lease expires.
const FAREWELL: Duration = Duration::from_secs(1);

/// The time for which a leader can leave out a schedule before a standby scheduler logs a warning: the time that a deployment
/// may take from the last process of one version to the first leader of the next.
const LEFT_OUT: Duration = Duration::from_secs(60);

/// The result of a scheduler that was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RunSummary {
    /// The number of firings whose jobs it added.
    pub fired: u64,
}

impl Timetable {
    /// Runs the schedules until `shutdown` resolves: adds the job of each firing to the outbox, from which a relay sends it.
    ///
    /// Any number of schedulers can run, inside workers or in processes of their own: each firing is one job. While the outbox
    /// does not respond, the scheduler retries. Firings missed in that time follow the [catch-up rule](crate::CatchUp).
    pub async fn run(self, outbox: Arc<dyn Outbox>, shutdown: impl Future<Output = ()>) -> RunSummary {
        let mut scheduler = Scheduler::new(self, outbox);
        let mut shutdown = pin!(shutdown);
        loop {
            // A pass dropped half-way has changed each schedule completely or left it unchanged.
            let wake = tokio::select! {
                biased;
                () = &mut shutdown => break,
                wake = scheduler.look() => wake,
            };
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                () = sleep_until(wake) => {}
            }
        }
        scheduler.leave().await
    }
}

struct Scheduler {
    timetable: Timetable,
    outbox: Arc<dyn Outbox>,
    /// The name of the lease.
    lease: String,
    /// The unique name of this scheduler.
    owner: String,
    role: Role,
    /// The wait after the next failure.
    wait: Duration,
    fails: bool,
    left_out_since: Option<Instant>,
    /// Schedules for which a warning was logged, with the warning.
    warned: BTreeSet<String>,
    summary: RunSummary,
}

impl Scheduler {
    fn new(timetable: Timetable, outbox: Arc<dyn Outbox>) -> Self {
        let lease = format!("timetable:{}", timetable.name());
        let owner = format!("{}-{:016x}", std::process::id(), fastrand::u64(..));
        Self {
            timetable,
            outbox,
            lease,
            owner,
            role: Role::Standby,
            wait: FIRST_WAIT,
            fails: false,
            left_out_since: None,
            warned: BTreeSet::new(),
            summary: RunSummary::default(),
        }
    }

    /// Makes one pass. Returns the time of the next one.
    async fn look(&mut self) -> Instant {
        let asked = Instant::now();
        match self.try_look().await {
            Ok(passed) => {
                if std::mem::take(&mut self.fails) {
                    info!("outbox answers again");
                }
                self.wait = FIRST_WAIT;
                self.wake(asked, &passed)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.fails, true) {
                    warn!(%error, "outbox does not respond: schedules wait for it");
                }
                debug!(%error, "pass over schedules failed");
                // Spreads the retries of schedulers that failed together.
                let wait = self.wait.mul_f64(0.5 + fastrand::f64() / 2.0);
                self.wait = (self.wait * 2).min(LONGEST_WAIT);
                Instant::now() + wait
            }
        }
    }

    async fn try_look(&mut self) -> Result<Passed, StoreError> {
        let lease = self.outbox.lead(&self.lease, &self.owner, LEASE).await?;
        let role = if lease.is_some() { Role::Leader } else { Role::Standby };
        if std::mem::replace(&mut self.role, role) != role {
            info!(
                timetable = self.timetable.name(),
                leads = role == Role::Leader,
                "scheduler changed its role"
            );
        }
        let passed = pass(&self.timetable, &*self.outbox, role).await?;
        self.summary.fired += passed.fired;
        self.warn_of_unusable(&passed);
        self.warn_of_left_out(&passed.not_led);
        Ok(passed)
    }

    /// Returns the time of the next pass after one that started at `asked`.
    fn wake(&self, asked: Instant, passed: &Passed) -> Instant {
        if passed.is_more {
            // Keeps two schedulers that collided from colliding again.
            return Instant::now() + MOST_APART.mul_f64(fastrand::f64());
        }
        let behind = if self.role == Role::Leader { Duration::ZERO } else { BEHIND_THE_LEADER };
        let until_next = passed.next.map(|next| {
            Duration::try_from(next.duration_since(passed.now))
                .unwrap_or(Duration::ZERO)
                .saturating_add(behind)
        });
        // The clock was read after `asked`, so the pass is not late by the time of the responses. If it is early, it is
        // repeated.
        asked + until_next.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP)
    }

    fn warn_of_unusable(&mut self, passed: &Passed) {
        for (schedule, reason) in &passed.unusable {
            if self.warned.insert(format!("{schedule} {reason}")) {
                error!(schedule, reason, "schedule not run");
            }
        }
    }

    /// Logs a warning for each schedule that another scheduler leads and does not run.
    fn warn_of_left_out(&mut self, not_led: &BTreeSet<String>) {
        if not_led.is_empty() {
            self.left_out_since = None;
            return;
        }
        let since = *self.left_out_since.get_or_insert_with(Instant::now);
        if since.elapsed() < LEFT_OUT {
            return;
        }
        for schedule in not_led {
            if self.warned.insert(schedule.clone()) {
                warn!(
                    schedule,
                    timetable = self.timetable.name(),
                    "schedule not run: the leader of the timetable has another rule for it, or none; give timetables of different \
                     services names of their own"
                );
            }
        }
    }

    /// Releases the lease, so that another scheduler leads at once.
    async fn leave(self) -> RunSummary {
        if self.role == Role::Leader {
            let given_back = self.outbox.lead(&self.lease, &self.owner, Duration::ZERO);
            if !matches!(timeout(FAREWELL, given_back).await, Ok(Ok(_))) {
                debug!("lease not released: it expires");
            }
        }
        info!(timetable = self.timetable.name(), fired = self.summary.fired, "scheduler stopped");
        self.summary
    }
}
