//! A queue and its worker in the test's process.

use std::collections::HashSet;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use drumline::Job;
use drumline::core::DrainSummary;
use drumline_queue::{Endpoint, InProcess, MessageState, PeekedMessage, Timestamp};
use drumline_store::{JobRecord, Store};
use serde::Serialize;

use crate::clock::Clock;
use crate::dead_letter::DeadLetter;
use crate::local_run::LocalRun;
use crate::outgoing::Outgoing;
use crate::still_busy::still_busy;
use crate::worker::{Worker, WorkerParts};

/// The time on the queue's clock after which `until_idle` gives up. It is longer than any usual retry schedule.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The same limit in the machine's time, if the test uses the machine's clock.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The pause between two checks of the queue on the machine's clock. Each event of the worker causes a check too.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// The same pause on a paused clock while messages are in hand. With none in hand, the next check is when the next message is
/// due.
const LOOK_AGAIN_PAUSED: Duration = Duration::from_secs(1);

/// A queue with a DLQ, and a worker on it, for tests end to end.
///
/// The worker is the code of a consumer: its settings, ledger, driver, and claims and histories in a store. The queue is the
/// embedded queue of `drumline dev`. There are no sockets between them and no SQS client.
///
/// The test's clock is the clock of both. Under `#[tokio::test(start_paused = true)]` all time is virtual: backoffs, leases,
/// handler timeouts and the store's times pass at once. Under `#[tokio::test]` the machine's clock counts, for handlers that
/// call real servers, and [`until_idle`](Self::until_idle) skips only the delays of messages.
///
/// ```
/// use drumline::{Context, Failure, Job, Router};
/// use drumline_testing::LocalQueue;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Welcome { user_id: u64 }
///
/// impl Job for Welcome {
///     const TYPE: &'static str = "mail.welcome";
/// }
///
/// async fn welcome(ctx: Context, job: Welcome) -> Result<(), Failure> {
///     match job.user_id {
///         0 => Err(Failure::reject("there is no user 0")),
///         _ if ctx.attempt().get() < 4 => Err(Failure::retry("the mail server does not answer")),
///         _ => Ok(()),
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let local = LocalQueue::start(Router::new().handle(welcome)).await;
/// let done = local.send(&Welcome { user_id: 7 });
/// local.send(&Welcome { user_id: 0 });
/// local.until_idle().await;
///
/// assert_eq!(local.runs_of(&done).len(), 4);
/// let dead = local.dead_letters();
/// assert_eq!(dead.len(), 1);
/// assert_eq!(dead[0].reason.as_deref(), Some("there is no user 0"));
/// # }
/// ```
pub struct LocalQueue {
    queues: InProcess,
    url: String,
    dead_letter_url: String,
    parts: WorkerParts,
    worker: Option<Worker>,
    workers: u32,
}

impl LocalQueue {
    pub(crate) fn with_worker(
        queues: InProcess,
        url: String,
        dead_letter_url: String,
        parts: WorkerParts,
    ) -> Self {
        let worker = Some(Worker::start(&parts, 1));
        Self { queues, url, dead_letter_url, parts, worker, workers: 1 }
    }

    /// Sends a job, and returns the id of its message.
    ///
    /// # Panics
    /// If the job cannot be written as JSON, or SQS would refuse the message.
    #[track_caller]
    pub fn send<J: Job + Serialize>(&self, job: &J) -> Arc<str> {
        self.job(job).send()
    }

    /// Returns a message with this job, to send with attributes, a delay, or an id.
    ///
    /// # Panics
    /// If the job cannot be written as JSON.
    #[track_caller]
    pub fn job<J: Job + Serialize>(&self, job: &J) -> Outgoing<'_> {
        self.envelope(J::TYPE.into(), J::VERSION, job)
    }

    /// Returns a message with a job of this type and payload, for job types that are not [`Serialize`]. Its version is the
    /// newest one for which the router has a handler.
    ///
    /// # Panics
    /// If the payload cannot be written as JSON.
    #[track_caller]
    pub fn payload(&self, job_type: &str, payload: &impl Serialize) -> Outgoing<'_> {
        let known = self.parts.router.job_types().find(|known| *known.name == *job_type);
        self.envelope(job_type.to_owned().into(), known.map_or(1, |known| known.version), payload)
    }

    /// Returns a message with any body.
    pub fn body(&self, body: impl Into<String>) -> Outgoing<'_> {
        Outgoing::body(self.endpoint(), &self.url, body.into())
    }

    #[track_caller]
    fn envelope(
        &self,
        job_type: std::borrow::Cow<'static, str>,
        version: u32,
        payload: &impl Serialize,
    ) -> Outgoing<'_> {
        match serde_json::value::to_raw_value(payload) {
            Ok(payload) => Outgoing::job(self.endpoint(), &self.url, job_type, version, payload),
            Err(error) => panic!("the payload of {job_type} cannot be written as JSON: {error}"),
        }
    }

    /// Waits until every message is done or in the DLQ, for at most one day of the queue's time.
    ///
    /// # Panics
    /// If a message is left after that (after a minute on the machine's clock), with a line about each. If no worker runs.
    #[track_caller]
    pub fn until_idle(&self) -> impl Future<Output = ()> + Send + '_ {
        self.until_idle_within(LONGEST)
    }

    /// Does the same as [`until_idle`](Self::until_idle), for at most this much of the queue's time.
    ///
    /// # Panics
    /// As `until_idle`.
    #[track_caller]
    pub fn until_idle_within(&self, longest: Duration) -> impl Future<Output = ()> + Send + '_ {
        let caller = Location::caller();
        async move {
            let Some(worker) = &self.worker else { panic!("{caller}: no worker runs: `restart` starts one") };
            if let Err(text) = self.wait(worker, longest).await {
                panic!("{caller}: the queue is not idle {text}");
            }
            worker.settle().await;
        }
    }

    /// Waits until the queue is idle. Returns the reason if it does not become idle.
    async fn wait(&self, worker: &Worker, longest: Duration) -> Result<(), String> {
        let clock = Clock::of_test();
        let recorder = &self.parts.recorder;
        let (begun, begun_at) = (tokio::time::Instant::now(), self.endpoint().now());
        let look = || {
            let left = self.left();
            if left.is_empty() && recorder.in_hand() == 0 {
                return Some(Ok(()));
            }
            let now = self.endpoint().now();
            let is_late = clock == Clock::Real && begun.elapsed() > LONGEST_WAIT;
            let why = if !worker.runs() {
                "since its worker has panicked".to_owned()
            } else if is_late {
                format!("after {} of the machine's time", humantime::format_duration(LONGEST_WAIT))
            } else if now.since(begun_at) > longest {
                format!("after {}", humantime::format_duration(now.since(begun_at)))
            } else {
                return None;
            };
            let reasons = worker.status().pauses();
            let receiving =
                if reasons.is_empty() { String::new() } else { format!(", no receives: {reasons:?}") };
            Some(Err(format!("{why}: {}{receiving}", still_busy(&left, now, recorder))))
        };
        let pause = || match (clock, self.next_due()) {
            (Clock::Real, Some(due)) => {
                self.endpoint().advance(due);
                Duration::ZERO
            }
            (Clock::Real, None) => LOOK_AGAIN,
            (Clock::Paused, Some(due)) => due + Duration::from_millis(1),
            (Clock::Paused, None) => LOOK_AGAIN_PAUSED,
        };
        recorder.wait_for(look, pause).await
    }

    /// Returns the time until the next message is due, if all messages wait for their time and none is in hand.
    fn next_due(&self) -> Option<Duration> {
        let recorder = &self.parts.recorder;
        let until = |message: &PeekedMessage| match message.state {
            MessageState::Delayed { until } => Some(until),
            // A message on its way to the worker does not count: its time runs already.
            MessageState::InFlight { until }
                if recorder.has_reached_worker(&message.message_id, message.receive_count) =>
            {
                Some(until)
            }
            MessageState::InFlight { .. } | MessageState::Visible => None,
        };
        let left = self.left();
        let now = self.endpoint().now();
        let due: Option<Vec<Timestamp>> = Self::not_held_up(&left).map(until).collect();
        let next = due?.into_iter().min().map(|at| at.since(now)).filter(|wait| !wait.is_zero());
        // Read last, because a message received in the meantime counts as in hand.
        next.filter(|_| recorder.in_hand() == 0)
    }

    /// Returns the messages, without those that are visible in a FIFO queue but blocked by an earlier message of their group.
    fn not_held_up(left: &[PeekedMessage]) -> impl Iterator<Item = &PeekedMessage> {
        let is_fifo = |message: &PeekedMessage| message.sequence_number.is_some();
        let mut hidden = HashSet::new();
        left.iter().filter(move |message| {
            let group = message.message_group_id.as_ref().filter(|_| is_fifo(message));
            if message.state == MessageState::Visible {
                return group.is_none_or(|group| !hidden.contains(group));
            }
            hidden.extend(group);
            true
        })
    }

    /// Returns the messages in the queue.
    pub fn left(&self) -> Vec<PeekedMessage> {
        self.endpoint().peek(&self.url).expect("the queue exists")
    }

    /// Returns the messages in the DLQ, each with the reason of its last failure.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        let messages = self.endpoint().peek(&self.dead_letter_url).expect("the DLQ exists");
        messages.into_iter().map(|message| DeadLetter::of(message, &self.parts.recorder)).collect()
    }

    /// Returns every run that has ended, in order, and every message that was settled without a run.
    pub fn runs(&self) -> Vec<LocalRun> {
        self.parts.recorder.runs()
    }

    /// Returns the runs of one message.
    pub fn runs_of(&self, message_id: &str) -> Vec<LocalRun> {
        let runs = self.runs().into_iter();
        runs.filter(|run| *run.message_id == *message_id).collect()
    }

    /// Returns the store's record of a job, by the id of the job or of its message: its state, result, progress, and failed
    /// attempts.
    ///
    /// # Panics
    /// If the store does not respond.
    pub async fn job_record(&self, id: &str) -> Option<JobRecord> {
        let run = self.parts.recorder.last_run(id);
        let job_id = run.and_then(|run| run.job_id).unwrap_or_else(|| id.to_owned());
        let found = self.store().jobs(&job_id).await;
        found.unwrap_or_else(|error| panic!("the store does not answer: {error}")).into_iter().next()
    }

    /// Returns the store of claims and histories.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.parts.store
    }

    /// Returns the embedded queue itself, for any other SQS request.
    pub fn endpoint(&self) -> &Endpoint {
        self.queues.endpoint()
    }

    /// Returns the queue's URL, for requests to [`endpoint`](Self::endpoint).
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops the worker as SIGTERM does: running handlers get the time of the setting `shutdown_grace`. Returns the result of
    /// the drain.
    ///
    /// # Panics
    /// If no worker runs, or if it has panicked.
    pub async fn stop(&mut self) -> DrainSummary {
        self.worker.take().expect("a worker runs").stop().await
    }

    /// Kills the worker as SIGKILL does. Its handlers end at their next await point, its messages stay hidden until their
    /// visibility ends, and its claims stay until they expire. Blocking handlers run to their end.
    ///
    /// # Panics
    /// If no worker runs. If the test uses the machine's clock, on which the claims would expire only after their real time.
    pub async fn kill(&mut self) {
        let is_paused = Clock::of_test() == Clock::Paused;
        assert!(
            is_paused,
            "a worker is killed under #[tokio::test(start_paused = true)]: its claims take time to expire"
        );
        self.worker.take().expect("a worker runs").kill().await;
    }

    /// Starts another worker with the same router, settings and store, to replace one that was stopped or killed.
    ///
    /// # Panics
    /// If a worker runs.
    pub fn restart(&mut self) {
        assert!(self.worker.is_none(), "a worker runs: `stop` or `kill` it first");
        self.workers += 1;
        self.worker = Some(Worker::start(&self.parts, self.workers));
    }
}
