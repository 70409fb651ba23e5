//! One watch: its turns, from the depth to the report.

use std::collections::HashSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drumline::message::{Intake, Message};
use drumline_dlq::Letter;
use drumline_dlq::alert::Alert;
use drumline_dlq::letter_id::LetterId;
use drumline_dlq::watch::{Death, MAX_LOOK, Watch};
use drumline_runtime::{DeadJobs, SqsError};
use drumline_store::Store;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{debug, info};

use super::causes::{LetterHistory, add_causes};
use super::dead_letters::{Uncalled, call_for};
use super::delivery::Alerts;
use super::failures::Failures;
use super::leader::{Lead, Leader};
use super::letters::{DeadLetters, Depth};
use super::outbox::Outbox;
use super::problems::{Problem, Problems};
use super::shared::SharedFailures;
use crate::metrics::Metrics;

/// The default interval at which the depth is requested.
pub const EVERY: Duration = Duration::from_secs(30);

/// The default time for which a known fingerprint is not reported again.
pub const QUIET: Duration = Duration::from_secs(60 * 60);

/// The number of times that a look is repeated because histories are unknown. Then letters are reported without them.
const MAX_UNANSWERED: u32 = 3;

/// The number of looks after which the hook for dead jobs is given up for the letters for which it fails: about ten minutes.
const MAX_UNCALLED: u32 = 10;

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
    is_leading: bool,
    shared: Option<SharedFailures>,
    outbox: Outbox,
    problems: Problems,
    metrics: Option<Metrics>,
    on_alert: Option<OnAlert>,
    dead_jobs: Option<DeadJobs>,
    /// True if looks may move letters to another queue, because of a redrive policy of the DLQ.
    may_move: bool,
    /// The number of looks in a row whose histories were unknown.
    unanswered: u32,
    /// The number of looks in a row after which the hook for dead jobs failed.
    uncalled: u32,
    /// The letters of those looks for which it has succeeded.
    called: HashSet<LetterId>,
    /// The number of letters for which it was given up.
    given_up: usize,
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
            problems: Problems::new(name.clone()),
            name,
            every: EVERY,
            letters,
            history,
            intake,
            failures: None,
            leader: None,
            is_leading: false,
            shared: None,
            outbox: Outbox::default(),
            metrics: None,
            on_alert: None,
            dead_jobs: None,
            may_move: false,
            unanswered: 0,
            uncalled: 0,
            called: HashSet::new(),
            given_up: 0,
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
    pub fn alerts(mut self, alerts: Alerts) -> Self {
        self.outbox.target = Some(alerts);
        self
    }

    /// Calls a function for every alert.
    #[must_use]
    pub fn on_alert(self, on_alert: impl FnMut(&Alert) + Send + 'static) -> Self {
        Self { on_alert: Some(Box::new(on_alert)), ..self }
    }

    /// Calls a function with each problem as it begins, in words for the user. Problems are logged, too.
    #[must_use]
    pub fn on_problem(mut self, on_problem: impl FnMut(&str) + Send + 'static) -> Self {
        self.problems.on_problem = Some(Box::new(on_problem));
        self
    }

    /// Looks also into a DLQ with a redrive policy of its own, by which looks move letters on.
    #[must_use]
    pub fn may_move_letters(self) -> Self {
        Self { may_move: true, ..self }
    }

    /// Calls the hook for the job of each letter that is new, unless a worker has called it.
    #[must_use]
    pub fn dead_jobs(self, dead_jobs: Option<DeadJobs>) -> Self {
        Self { dead_jobs, ..self }
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
        self.end().await;
    }

    /// Leaves to other workers what this one knows, and the lead.
    async fn end(&mut self) {
        let failed = self.failures.as_mut().map(Failures::take).unwrap_or_default();
        if self.is_leading {
            self.failed(failed);
            self.keep().await;
        } else if let Some(shared) = &self.shared {
            shared.add(failed).await;
        }
        if let Some(leader) = &mut self.leader {
            leader.resign().await;
        }
    }

    /// Looks once at what is there, and reports it. Returns the depth. [`undelivered`](Self::undelivered) has the alerts that failed.
    ///
    /// # Errors
    /// If SQS does not answer.
    pub async fn once(&mut self) -> Result<u64, SqsError> {
        // There is no later look that may have an answer.
        (self.unanswered, self.uncalled) = (MAX_UNANSWERED, MAX_UNCALLED);
        let Depth { letters, has_redrive_policy } = self.letters.depth().await?;
        self.depth_is(letters, has_redrive_policy).await?;
        self.report().await;
        Ok(letters)
    }

    /// Makes one turn: asks for the depth, looks if that is due, and reports what is new. Returns the depth, if SQS gives it. For
    /// programs that do more in each turn; others [run](Self::run) a watch.
    pub async fn turn(&mut self) -> Option<u64> {
        if !self.leads().await {
            return None;
        }
        let Some(lost) = self.leader.as_ref().and_then(Leader::until_lost) else {
            return self.lead_turn().await;
        };
        tokio::select! {
            depth = self.lead_turn() => depth,
            // The next leader makes this turn, from what was kept.
            () = lost => None,
        }
    }

    /// Asks to lead, if workers share the watch. Returns true if this one leads.
    async fn leads(&mut self) -> bool {
        let now = self.clock.now_ms();
        let Some(leader) = &mut self.leader else { return true };
        match leader.lead().await {
            Lead::No => {
                self.is_leading = false;
                self.outbox.clear();
                let failed = self.failures.as_mut().map(Failures::take).unwrap_or_default();
                if let Some(shared) = &self.shared {
                    shared.add(failed).await;
                }
                return false;
            }
            Lead::Still => {}
            Lead::New { known, handover } => {
                self.outbox.clear();
                self.watch.take_over(known, handover, now);
                self.is_leading = true;
            }
        }
        true
    }

    async fn lead_turn(&mut self) -> Option<u64> {
        let failed = self.failures.as_mut().map(Failures::take).unwrap_or_default();
        self.failed(failed);
        let depth = self.depth().await;
        if let Some(Depth { letters, has_redrive_policy }) = depth
            && let Err(error) = self.depth_is(letters, has_redrive_policy).await
        {
            self.problems.begin(Problem::Look, &error.to_string());
        }
        self.report().await;
        depth.map(|depth| depth.letters)
    }

    /// The number of alerts that were not delivered.
    pub fn undelivered(&self) -> usize {
        self.outbox.undelivered()
    }

    /// The number of letters for which the hook for dead jobs was given up.
    pub fn uncalled(&self) -> usize {
        self.given_up
    }

    fn failed(&mut self, deaths: Vec<Death>) {
        let now = self.clock.now_ms();
        for death in deaths {
            let (job_type, class) = (death.job_type.clone(), death.class.clone());
            if self.watch.failed(death, now) {
                self.count(job_type.as_deref(), class.as_deref());
            }
        }
    }

    fn count(&self, job_type: Option<&str>, class: Option<&str>) {
        if let Some(metrics) = &self.metrics {
            metrics.dead_letter(&self.name, job_type, class);
        }
    }

    async fn depth(&mut self) -> Option<Depth> {
        let depth = self.letters.depth().await;
        match &depth {
            Ok(_) => self.problems.end(Problem::Depth),
            Err(error) => self.problems.begin(Problem::Depth, &error.to_string()),
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
        if has_redrive_policy && !self.may_move {
            if self.watch.skip_look() {
                let reason = "the DLQ has a redrive policy of its own, by which looks move letters on";
                self.problems.begin(Problem::RedrivePolicy, reason);
            }
            return Ok(());
        }
        if !self.watch.is_look_due(now) {
            return Ok(());
        }
        let mut wanted = self.watch.wanted();
        let wants_more = Box::new(move |received: &[Message]| wanted.wants_more(received));
        let messages = match self.letters.look(MAX_LOOK, wants_more).await {
            Ok(messages) => messages,
            Err(error) => {
                self.watch.look_failed(now);
                return Err(error);
            }
        };
        self.problems.end(Problem::Look);
        let received = messages.len();
        let mut letters: Vec<Letter> =
            messages.into_iter().map(|message| Letter::new(message, &self.intake)).collect();
        letters.retain(|letter| !self.watch.has_seen(LetterId::of(letter.original_id())));
        let history = Arc::clone(&self.history);
        if let Err(error) = add_causes(&*history, &mut letters).await {
            self.problems.begin(Problem::Histories, &error);
            if self.unanswered < MAX_UNANSWERED {
                self.unanswered += 1;
                self.watch.look_failed(now);
                return Ok(());
            }
        } else {
            self.problems.end(Problem::Histories);
            self.unanswered = 0;
        }
        debug!(dlq = self.name, received, new = letters.len(), "looked into DLQ");
        if !self.call_hook(&letters).await {
            // The letters stay unseen, so that the next look calls the hook again.
            self.watch.look_failed(now);
            return Ok(());
        }
        let deaths = letters.iter().map(Death::of).collect();
        for death in self.watch.looked(received, deaths, self.clock.now_ms()) {
            self.count(death.job_type.as_deref(), death.class.as_deref());
        }
        Ok(())
    }

    /// Calls the hook for dead jobs, if there is one. Returns false if the next look must call it again.
    async fn call_hook(&mut self, letters: &[Letter]) -> bool {
        let Some(dead_jobs) = &self.dead_jobs else { return true };
        if self.watch.is_at_old() {
            return true;
        }
        let Uncalled { letters: count, problem } =
            call_for(dead_jobs, letters, &self.name, self.metrics.as_ref(), &mut self.called).await;
        if count == 0 {
            self.problems.end(Problem::DeadJobHook);
        } else {
            self.problems.begin(Problem::DeadJobHook, &problem);
            if self.uncalled < MAX_UNCALLED {
                self.uncalled += 1;
                return false;
            }
            self.given_up += count;
            self.problems.leave_uncalled(count, &problem);
        }
        self.uncalled = 0;
        self.called.clear();
        true
    }

    async fn report(&mut self) {
        let alerts = self.watch.alerts(self.clock.now_ms());
        for alert in &alerts {
            let Alert {
                origin,
                job_type,
                class,
                fingerprint,
                reason,
                count,
                is_sample,
                is_new,
                depth,
                others,
                ..
            } = alert;
            info!(
                dlq = self.name,
                origin,
                r#type = job_type,
                class,
                %fingerprint,
                reason,
                count,
                is_sample,
                is_new,
                depth,
                others = others.letters,
                "new dead letters"
            );
            if let Some(on_alert) = &mut self.on_alert {
                on_alert(alert);
            }
        }
        let metrics = self.metrics.as_ref();
        self.outbox.deliver(alerts, &self.name, metrics, &mut self.problems).await;
        // After the delivery: an alert may come twice, if this worker ends meanwhile, but is not lost.
        self.keep().await;
    }

    /// Keeps for the next leader what this one knows.
    async fn keep(&mut self) {
        if let Some(leader) = &mut self.leader {
            let waiting = self.outbox.waiting();
            let (known, handover) = (self.watch.known(waiting), self.watch.handover(waiting));
            leader.keep(&known, handover.as_ref()).await;
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
