//! One watch: its turns, from the depth to the report.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drumline::message::Intake;
use drumline_dlq::Letter;
use drumline_dlq::alert::Alert;
use drumline_dlq::watch::{Death, MAX_LOOK, Watch};
use drumline_runtime::SqsError;
use drumline_store::Store;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{debug, info, warn};

use super::causes::{LetterHistory, cause_in};
use super::delivery::Alerts;
use super::failures::Failures;
use super::leader::Leader;
use super::letters::{DeadLetters, Depth};
use super::shared::SharedFailures;
use crate::job_view::job_type;
use crate::metrics::Metrics;

/// How often the depth is asked for by default.
pub const EVERY: Duration = Duration::from_secs(30);

/// For how long a known fingerprint is not reported again by default.
pub const QUIET: Duration = Duration::from_secs(60 * 60);

/// The most alerts that wait to be delivered, while their target does not answer.
const MAX_UNDELIVERED: usize = 100;

type OnAlert = Box<dyn FnMut(&Alert) + Send>;

/// A watch over one DLQ, set up and not running yet.
pub struct DlqWatch {
    name: String,
    every: Duration,
    watch: Watch,
    letters: Arc<dyn DeadLetters>,
    history: Arc<dyn LetterHistory>,
    intake: Intake,
    failures: Option<Failures>,
    leader: Option<Leader>,
    shared: Option<SharedFailures>,
    alerts: Option<Alerts>,
    undelivered: Vec<Alert>,
    metrics: Option<Metrics>,
    on_alert: Option<OnAlert>,
    /// Whether looks may move letters on, by a redrive policy of the DLQ.
    may_move: bool,
    depth_failed: bool,
    clock: Clock,
}

impl DlqWatch {
    /// A watch over the DLQ of this name. `reports_old` is for letters that are there when it begins. `intake` has the rules by which the
    /// worker of its queue decodes messages.
    pub fn new(
        name: impl Into<String>,
        letters: Arc<dyn DeadLetters>,
        history: Arc<dyn LetterHistory>,
        intake: Intake,
        reports_old: bool,
    ) -> Self {
        let name = name.into();
        Self {
            watch: Watch::new(name.clone(), millis(QUIET), reports_old),
            name,
            every: EVERY,
            letters,
            history,
            intake,
            failures: None,
            leader: None,
            shared: None,
            alerts: None,
            undelivered: Vec::new(),
            metrics: None,
            on_alert: None,
            may_move: false,
            depth_failed: false,
            clock: Clock::start(),
        }
    }

    /// Sets how often the depth is asked for, and for how long a known fingerprint is not reported again.
    #[must_use]
    pub fn timing(self, every: Duration, quiet: Duration) -> Self {
        Self { every, watch: self.watch.with_quiet(millis(quiet)), ..self }
    }

    /// Delivers alerts.
    #[must_use]
    pub fn alerts(self, alerts: Alerts) -> Self {
        Self { alerts: Some(alerts), ..self }
    }

    /// Calls a function for every alert.
    #[must_use]
    pub fn on_alert(self, on_alert: impl FnMut(&Alert) + Send + 'static) -> Self {
        Self { on_alert: Some(Box::new(on_alert)), ..self }
    }

    /// Looks also into a DLQ with a redrive policy of its own, by which looks move letters on.
    #[must_use]
    pub fn may_move_letters(self) -> Self {
        Self { may_move: true, ..self }
    }

    pub(crate) fn metrics(self, metrics: Metrics) -> Self {
        Self { metrics: Some(metrics), ..self }
    }

    pub(crate) fn failures(self, failures: Failures) -> Self {
        Self { failures: Some(failures), ..self }
    }

    /// Has one of the workers that share a store watch, and the others report their failures to it.
    pub(crate) fn shared(self, store: &Arc<dyn Store>, dlq_arn: &str) -> Self {
        let leader = Leader::new(Arc::clone(store), dlq_arn, self.every);
        let shared = SharedFailures::new(Arc::clone(store), dlq_arn);
        let watch = self.watch.with_patience(millis(self.every));
        Self { leader: Some(leader), shared: Some(shared), watch, ..self }
    }

    /// Watches until `shutdown` completes.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut timer = interval(self.every);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = timer.tick() => {}
                () = &mut shutdown => break,
            }
            // A turn that is dropped may leave letters hidden until their hold ends, half a minute at most.
            tokio::select! {
                _ = self.turn() => {}
                () = &mut shutdown => break,
            }
        }
        if let Some(leader) = &mut self.leader {
            leader.resign().await;
        }
    }

    /// Looks once at what is there, and reports it. Returns the depth.
    ///
    /// # Errors
    /// If SQS does not answer.
    pub async fn once(&mut self) -> Result<u64, SqsError> {
        let Depth { letters, has_redrive_policy } = self.letters.depth().await?;
        self.depth_is(letters, has_redrive_policy).await?;
        self.report().await;
        Ok(letters)
    }

    /// Makes one turn: asks for the depth, looks if that is due, and reports what is new. Returns the depth, if SQS gives it. For
    /// programs that do more in each turn; others [run](Self::run) a watch.
    pub async fn turn(&mut self) -> Option<u64> {
        if let Some(leader) = &mut self.leader {
            let known = leader.lead().await;
            let Some(known) = known else {
                let failed = self.failures.as_mut().map(Failures::take).unwrap_or_default();
                if let Some(shared) = &self.shared {
                    shared.add(failed).await;
                }
                return None;
            };
            self.watch.take_over(known);
        }
        let now = self.clock.now_ms();
        for death in self.failures.as_mut().map(Failures::take).unwrap_or_default() {
            let (job_type, class) = (death.job_type.clone(), death.class.clone());
            if self.watch.failed(death, now) {
                self.count(job_type.as_deref(), class.as_deref());
            }
        }
        let depth = self.depth().await;
        if let Some(Depth { letters, has_redrive_policy }) = depth
            && let Err(error) = self.depth_is(letters, has_redrive_policy).await
        {
            warn!(dlq = self.name, %error, "DLQ not readable");
        }
        self.report().await;
        depth.map(|depth| depth.letters)
    }

    fn count(&self, job_type: Option<&str>, class: Option<&str>) {
        if let Some(metrics) = &self.metrics {
            metrics.dead_letter(&self.name, job_type, class);
        }
    }

    async fn depth(&mut self) -> Option<Depth> {
        let depth = self.letters.depth().await;
        // Once for several in a row.
        match &depth {
            Ok(_) => self.depth_failed = false,
            Err(error) if !self.depth_failed => {
                self.depth_failed = true;
                warn!(dlq = self.name, %error, "DLQ depth unknown");
            }
            Err(_) => {}
        }
        depth.ok()
    }

    /// Looks into the DLQ if that is due.
    async fn depth_is(&mut self, letters: u64, has_redrive_policy: bool) -> Result<(), SqsError> {
        let now = self.clock.now_ms();
        if self.watch.depth(letters, now)
            && let Some(shared) = &self.shared
        {
            for death in shared.take().await {
                let (job_type, class) = (death.job_type.clone(), death.class.clone());
                if self.watch.failed_elsewhere(death, now) {
                    self.count(job_type.as_deref(), class.as_deref());
                }
            }
        }
        if !self.watch.is_look_due(now) || (has_redrive_policy && !self.may_move) {
            return Ok(());
        }
        let mut deaths = Vec::new();
        for message in self.letters.look(MAX_LOOK).await? {
            let mut letter = Letter::new(message, &self.intake);
            let job = self.history.of(&letter).await;
            if let Some(job) = job {
                let job_type = job_type(&job).map(str::to_owned);
                let cause = cause_in(&letter, &job);
                letter.learn(cause, job_type);
            }
            deaths.push(Death::of(&letter));
        }
        debug!(dlq = self.name, letters = deaths.len(), "looked into DLQ");
        for death in self.watch.looked(deaths, self.clock.now_ms()) {
            self.count(death.job_type.as_deref(), death.class.as_deref());
        }
        Ok(())
    }

    async fn report(&mut self) {
        let alerts = self.watch.alerts(self.clock.now_ms());
        for alert in &alerts {
            let Alert { origin, job_type, class, fingerprint, reason, count, is_new, depth, .. } = alert;
            info!(
                dlq = self.name,
                origin,
                r#type = job_type,
                class,
                %fingerprint,
                reason,
                count,
                is_new,
                depth,
                "new dead letters"
            );
            if let Some(on_alert) = &mut self.on_alert {
                on_alert(alert);
            }
        }
        if let Some(leader) = &mut self.leader
            && !alerts.is_empty()
        {
            leader.keep(&self.watch.known()).await;
        }
        self.deliver(alerts).await;
    }

    async fn deliver(&mut self, alerts: Vec<Alert>) {
        let Some(target) = &self.alerts else { return };
        self.undelivered.extend(alerts);
        let excess = self.undelivered.len().saturating_sub(MAX_UNDELIVERED);
        self.undelivered.drain(..excess);
        while let Some(alert) = self.undelivered.first() {
            let delivered = target.deliver(alert).await;
            if let Some(metrics) = &self.metrics {
                metrics.alert(&self.name, if delivered.is_ok() { "ok" } else { "failed" });
            }
            if let Err(error) = delivered {
                warn!(dlq = self.name, error, waiting = self.undelivered.len(), "alert not delivered");
                return;
            }
            self.undelivered.remove(0);
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The wall clock of the beginning and the time since then: no change of the wall clock ends a quiet period.
struct Clock {
    begun_ms: u64,
    begun: Instant,
}

impl Clock {
    fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { begun_ms: millis(wall), begun: Instant::now() }
    }

    fn now_ms(&self) -> u64 {
        self.begun_ms + millis(self.begun.elapsed())
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
