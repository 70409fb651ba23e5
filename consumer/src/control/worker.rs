//! The orders that a worker follows: those for it, and those for all workers.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drumline::core::{Limits, PauseReason, TypeOrders};
use drumline_runtime::{JobAnswer, JobOrder, JobRequests, QueueOrders, QueueStatus};
use tokio::sync::{Notify, futures::Notified, watch};
use tracing::info;

use super::jobs::{JobReply, JobRequest, JobVerb};
use super::order::{Order, Target};
use super::orders::{Change, Orders};
use super::view::{ControlView, QueueView, StoreView, TypeView};

/// The maximum number of queues and types with orders at one worker.
const MAX_TARGETS: usize = 200;

/// The orders of targets.
pub(super) type ByTarget = BTreeMap<Target, Orders>;

/// The orders that a worker follows. Cloning returns another handle of the same orders.
#[derive(Clone)]
pub(crate) struct Control(Arc<Shared>);

struct Shared {
    worker: String,
    queues: Vec<Queue>,
    limits: Limits,
    /// The types that have a handler; `None` if every type has one.
    types: Option<BTreeSet<String>>,
    state: Mutex<State>,
    /// The loops of the queues that have started.
    loops: Mutex<BTreeMap<String, JobRequests>>,
    changed: Notify,
}

/// A queue that follows orders.
pub(crate) struct ControlledQueue {
    pub(crate) name: String,
    /// The number of concurrent runs in the settings.
    pub(crate) concurrency: NonZeroUsize,
    pub(crate) status: Arc<QueueStatus>,
}

struct Queue {
    name: String,
    status: Arc<QueueStatus>,
    orders: watch::Sender<QueueOrders>,
}

#[derive(Default)]
struct State {
    /// The concurrency of the settings, by queue.
    concurrency: BTreeMap<String, NonZeroUsize>,
    here: ByTarget,
    everywhere: ByTarget,
    /// The jobs that are cancelled everywhere, for queues that start later.
    cancelled: Vec<JobOrder>,
    follows_store: bool,
    store_read_at_ms: Option<u64>,
}

/// The reason why an order cannot be followed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The worker has no such queue or type, only these.
    Unknown { error: String, known: Vec<String> },
    /// The worker follows the maximum number of orders.
    TooMany,
}

impl Control {
    /// Makes the orders for these queues, and for jobs of these types.
    pub(crate) fn new(
        worker: &str,
        queues: Vec<ControlledQueue>,
        limits: Limits,
        types: Option<BTreeSet<String>>,
    ) -> Self {
        let concurrency = queues.iter().map(|queue| (queue.name.clone(), queue.concurrency)).collect();
        let queues = queues.into_iter().map(|ControlledQueue { name, concurrency, status }| Queue {
            name,
            status,
            orders: watch::Sender::new(QueueOrders { is_paused: false, concurrency }),
        });
        Self(Arc::new(Shared {
            worker: worker.to_owned(),
            queues: queues.collect(),
            limits,
            types,
            state: Mutex::new(State { concurrency, ..State::default() }),
            loops: Mutex::default(),
            changed: Notify::new(),
        }))
    }

    /// Gives the loop of a queue the orders about jobs from now on. It learns the cancelled jobs before it receives a message.
    pub(crate) fn starts(&self, queue: &str, requests: JobRequests) {
        for order in &self.state().cancelled {
            requests.post(order.clone());
        }
        self.loops().insert(queue.to_owned(), requests);
    }

    /// Records the jobs that orders in the store cancel.
    pub(super) fn learn_cancelled<'a>(&self, requests: impl Iterator<Item = &'a JobRequest>) {
        let cancelled = requests.filter(|request| request.action == JobVerb::Cancel).map(JobRequest::order);
        self.state().cancelled = cancelled.collect();
    }

    /// Gives all queues an order about a job. Returns the answer of the queue that knows it.
    pub(crate) async fn order_job(&self, request: &JobRequest, scope: &str) -> JobReply {
        let loops = self.loops().clone();
        let mut reply = JobReply::new(&self.0.worker, JobAnswer::Unknown);
        for (queue, requests) in loops {
            let answer = requests.give(request.order()).await;
            if answer == JobAnswer::Unknown {
                continue;
            }
            reply = JobReply::new(&self.0.worker, answer);
            let JobRequest { job, action, by, why, .. } = request;
            let (error, result) = (reply.error.as_deref(), reply.result);
            info!(
                queue,
                job_id = job,
                ?action,
                by,
                why,
                scope,
                ?result,
                error,
                "order of operator about a job"
            );
        }
        reply
    }

    fn loops(&self) -> MutexGuard<'_, BTreeMap<String, JobRequests>> {
        self.0.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the orders that the loop of a queue follows.
    pub(crate) fn of_queue(&self, name: &str) -> Option<watch::Receiver<QueueOrders>> {
        self.0.queues.iter().find(|queue| queue.name == name).map(|queue| queue.orders.subscribe())
    }

    /// Returns the operator who has paused a queue, with the reason, such as `ada@ops: bad deploy`.
    pub(crate) fn paused_by(&self, queue: &str) -> Option<String> {
        let target = Target::Queue(queue.to_owned());
        let state = self.state();
        let mut orders = state.here.get(&target).into_iter().chain(state.everywhere.get(&target));
        let note = orders.find_map(|orders| orders.paused.as_ref())?;
        Some(match &note.why {
            Some(why) => format!("{}: {why}", note.by),
            None => note.by.clone(),
        })
    }

    /// Applies an order for this worker. Returns the active orders of its target.
    pub(crate) fn give(&self, order: &Order) -> Result<ControlView, Refusal> {
        self.check(&order.target)?;
        let mut state = self.state();
        if state.here.len() >= MAX_TARGETS && !state.here.contains_key(&order.target) {
            return Err(Refusal::TooMany);
        }
        let orders = state.here.entry(order.target.clone()).or_default();
        orders.give(order, now_ms());
        if let Some(change) = &orders.last {
            log_change(&order.target, change, "worker");
        }
        if orders.is_empty() {
            state.here.remove(&order.target);
        }
        self.apply(&state);
        drop(state);
        self.0.changed.notify_waiters();
        Ok(self.view(Some(&order.target)))
    }

    fn check(&self, target: &Target) -> Result<(), Refusal> {
        let (known, error) = match target {
            Target::Queue(name) => {
                let known: Vec<String> = self.0.queues.iter().map(|queue| queue.name.clone()).collect();
                (known, format!("this worker consumes no queue {name:?}"))
            }
            Target::Type(name) => {
                let Some(types) = &self.0.types else { return Ok(()) };
                (types.iter().cloned().collect(), format!("this worker has no handler for the type {name:?}"))
            }
        };
        if known.iter().any(|known| known == target.name()) {
            return Ok(());
        }
        Err(Refusal::Unknown { error, known })
    }

    /// Applies the orders for all workers, as they are now in the store. `None` stands for the unreadable orders of a target:
    /// its last orders stay active.
    pub(super) fn learn(&self, found: BTreeMap<Target, Option<Orders>>) {
        let now_ms = now_ms();
        let mut state = self.state();
        (state.follows_store, state.store_read_at_ms) = (true, Some(now_ms));
        let mut everywhere = ByTarget::new();
        for (target, orders) in found {
            let known = state.everywhere.get(&target);
            let Some(mut orders) = orders.or_else(|| known.cloned()) else { continue };
            orders.end(now_ms);
            if let Some(change) = &orders.last
                && known.and_then(|known| known.last.as_ref()) != Some(change)
                && (known.is_some() || !orders.is_empty())
            {
                log_change(&target, change, "everywhere");
            }
            everywhere.insert(target, orders);
        }
        if everywhere != state.everywhere {
            for target in state.everywhere.keys().filter(|target| !everywhere.contains_key(target)) {
                let (queue, job_type) = target.parts();
                info!(queue, "type" = job_type, scope = "everywhere", "orders of operator are gone");
            }
            state.everywhere = everywhere;
            self.apply(&state);
        }
    }

    /// Sets another number of concurrent runs of a queue, from the settings.
    pub(crate) fn configure(&self, queue: &str, concurrency: NonZeroUsize) {
        let mut state = self.state();
        state.concurrency.insert(queue.to_owned(), concurrency);
        self.apply(&state);
    }

    /// Records that the store is followed, even before it answers.
    pub(super) fn follows_store(&self) {
        self.state().follows_store = true;
    }

    /// Ends the expired orders. Returns the time until the next end.
    pub(super) fn tick(&self) -> Option<Duration> {
        let now_ms = now_ms();
        let mut state = self.state();
        let State { here, everywhere, .. } = &mut *state;
        let mut has_ended = false;
        for (scope, by_target) in [("worker", here), ("everywhere", everywhere)] {
            for (target, orders) in by_target.iter_mut() {
                for action in orders.end(now_ms) {
                    has_ended = true;
                    let (queue, job_type) = target.parts();
                    info!(queue, "type" = job_type, action, scope, "order of operator has ended");
                }
            }
        }
        if has_ended {
            state.here.retain(|_, orders| !orders.is_empty());
            self.apply(&state);
        }
        let ends = state.here.values().chain(state.everywhere.values()).filter_map(Orders::next_end);
        ends.min().map(|end| Duration::from_millis(end.saturating_sub(now_ms).max(1)))
    }

    /// Completes after this worker was given an order after the call.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.0.changed.notified()
    }

    /// Returns all orders, or those for one target.
    pub(crate) fn view(&self, only: Option<&Target>) -> ControlView {
        let state = self.state();
        let is_shown = |target: &Target| only.is_none_or(|only| only == target);
        let of = |by_target: &ByTarget, target: &Target| by_target.get(target).cloned().unwrap_or_default();
        let queues = self.0.queues.iter().filter_map(|queue| {
            let target = Target::Queue(queue.name.clone());
            is_shown(&target).then(|| {
                let orders = *queue.orders.borrow();
                // The loop obeys within one turn, so the view shows the requested state.
                let mut pauses: BTreeSet<PauseReason> = queue.status.pauses().into_iter().collect();
                pauses.remove(&PauseReason::Operator);
                pauses.extend(orders.is_paused.then_some(PauseReason::Operator));
                QueueView {
                    queue: queue.name.clone(),
                    pauses: pauses.into_iter().map(|reason| reason.label().to_owned()).collect(),
                    concurrency: orders.concurrency.get(),
                    configured_concurrency: state.concurrency.get(&queue.name).map_or(0, |count| count.get()),
                    in_hand: queue.status.in_hand(),
                    running: queue.status.running(),
                    drained: queue.status.is_drained(),
                    here: of(&state.here, &target),
                    everywhere: of(&state.everywhere, &target),
                }
            })
        });
        let types = state.here.keys().chain(state.everywhere.keys()).collect::<BTreeSet<_>>();
        let types = types.into_iter().filter(|target| is_shown(target)).filter_map(|target| {
            let Target::Type(job_type) = target else { return None };
            let (here, everywhere) = (of(&state.here, target), of(&state.everywhere, target));
            let is_shown = only.is_some() || !here.is_empty() || !everywhere.is_empty();
            is_shown.then(|| TypeView { job_type: job_type.clone(), here, everywhere })
        });
        ControlView {
            worker: self.0.worker.clone(),
            queues: queues.collect(),
            types: types.collect(),
            store: state.follows_store.then_some(StoreView { read_at_ms: state.store_read_at_ms }),
        }
    }

    /// Applies the orders to queues and limits.
    fn apply(&self, state: &State) {
        let none = Orders::default();
        let of = |target: &Target| {
            let of = |by_target: &'_ ByTarget| by_target.get(target).unwrap_or(&none).clone();
            (of(&state.here), of(&state.everywhere))
        };
        for queue in &self.0.queues {
            let (here, everywhere) = of(&Target::Queue(queue.name.clone()));
            let configured = state.concurrency.get(&queue.name);
            queue.orders.send_if_modified(|known| {
                let orders = QueueOrders {
                    is_paused: here.paused.is_some() || everywhere.paused.is_some(),
                    concurrency: concurrency(&here, &everywhere)
                        .or(configured.copied())
                        .unwrap_or(known.concurrency),
                };
                std::mem::replace(known, orders) != orders
            });
        }
        let known: BTreeMap<Arc<str>, TypeOrders> = self.0.limits.orders().into_iter().collect();
        let ordered = state.here.keys().chain(state.everywhere.keys());
        let ordered = ordered.filter(|target| matches!(target, Target::Type(_))).map(Target::name);
        for job_type in known.keys().map(|name| &**name).chain(ordered).collect::<BTreeSet<&str>>() {
            let (here, everywhere) = of(&Target::Type(job_type.to_owned()));
            let rate = here.rate.as_ref().or(everywhere.rate.as_ref());
            let orders = TypeOrders {
                is_paused: here.paused.is_some() || everywhere.paused.is_some(),
                concurrency: concurrency(&here, &everywhere),
                rate: rate.map(|rate| rate.value.0),
            };
            if known.get(job_type).cloned().unwrap_or_default() != orders {
                self.0.limits.set_orders(job_type, orders);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the number that was ordered at this worker, else the one for all.
fn concurrency(here: &Orders, everywhere: &Orders) -> Option<NonZeroUsize> {
    here.concurrency.as_ref().or(everywhere.concurrency.as_ref()).map(|order| order.value)
}

fn log_change(target: &Target, change: &Change, scope: &str) {
    let Change { action, note } = change;
    let (by, why, until_ms) = (&*note.by, note.why.as_deref(), note.until_ms);
    let (queue, job_type) = target.parts();
    info!(queue, "type" = job_type, action, by, why, until_ms, scope, "order of operator");
}

/// Returns the wall clock in milliseconds: orders end at times of day, also after a suspended machine wakes up.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Instant;

    use drumline::core::{JobClass, LimitReason, LimitRules, RateOrder};

    use super::*;
    use crate::control::Action;

    #[allow(clippy::disallowed_methods)]
    fn now() -> Instant {
        Instant::now()
    }

    fn control() -> (Control, Limits) {
        let limits = Limits::new(LimitRules::none(NonZeroUsize::MIN));
        let queue = |name: &str| ControlledQueue {
            name: name.to_owned(),
            concurrency: NonZeroUsize::new(32).unwrap(),
            status: Arc::new(QueueStatus::default()),
        };
        let types = Some(BTreeSet::from(["mail".to_owned()]));
        (Control::new("w-1", vec![queue("jobs"), queue("slow")], limits.clone(), types), limits)
    }

    fn order(target: Target, action: Action) -> Order {
        Order { target, action, by: "ada".into(), why: Some("test".into()), lasts: None }
    }

    fn jobs() -> Target {
        Target::Queue("jobs".into())
    }

    fn mail() -> Target {
        Target::Type("mail".into())
    }

    #[expect(clippy::unnecessary_wraps, reason = "a worker without orders has none")]
    fn given(orders: &[Order]) -> Option<Orders> {
        let mut given = Orders::default();
        for order in orders {
            given.give(order, now_ms());
        }
        Some(given)
    }

    #[test]
    fn a_queue_is_paused_while_here_or_everywhere_says_so() {
        let (control, _) = control();
        let orders = control.of_queue("jobs").unwrap();
        let is_paused = || orders.borrow().is_paused;
        control.give(&order(jobs(), Action::Pause)).unwrap();
        assert!(is_paused() && !control.of_queue("slow").unwrap().borrow().is_paused);
        control.learn([(jobs(), given(&[order(jobs(), Action::Pause)]))].into());
        let view = control.give(&order(jobs(), Action::Resume)).unwrap();
        assert!(is_paused(), "everywhere holds");
        assert_eq!((view.queues.len(), &*view.queues[0].pauses), (1, &["operator".to_owned()][..]));
        assert!(view.queues[0].here.is_empty() && view.queues[0].everywhere.paused.is_some());
        // A document of a later version cannot be read, and changes nothing.
        control.learn([(jobs(), None)].into());
        assert!(is_paused());
        control.learn(BTreeMap::new());
        assert!(!is_paused());
    }

    #[test]
    fn slots_follow_the_worker_then_all_then_the_settings() {
        let (control, limits) = control();
        let orders = control.of_queue("jobs").unwrap();
        let slots = || orders.borrow().concurrency.get();
        let count = |count| Action::Concurrency(NonZeroUsize::new(count).unwrap());
        control.learn([(jobs(), given(&[order(jobs(), count(5))]))].into());
        assert_eq!(slots(), 5);
        control.give(&order(jobs(), count(7))).unwrap();
        assert_eq!(slots(), 7);
        control.give(&order(jobs(), Action::Reset)).unwrap();
        assert_eq!(slots(), 5);
        control.learn([(jobs(), given(&[order(jobs(), count(5)), order(jobs(), Action::Reset)]))].into());
        assert_eq!(slots(), 32);
        control.give(&order(mail(), count(3))).unwrap();
        control.give(&order(mail(), Action::Rate(RateOrder::Off))).unwrap();
        let of_type =
            TypeOrders { concurrency: NonZeroUsize::new(3), rate: Some(RateOrder::Off), is_paused: false };
        assert_eq!(limits.orders(), [("mail".into(), of_type)]);
    }

    #[test]
    fn a_type_is_paused_by_its_limit() {
        let (control, limits) = control();
        let ask = || limits.ask(now(), &JobClass::of_type("mail")).err().map(|wait| wait.reason);
        let view = control.give(&order(mail(), Action::Pause)).unwrap();
        assert_eq!(ask(), Some(LimitReason::Operator));
        assert_eq!(view.types[0].here.paused.as_ref().unwrap().why.as_deref(), Some("test"));
        assert_eq!(control.view(None).queues.len(), 2);
        control.give(&order(mail(), Action::Resume)).unwrap();
        assert_eq!(ask(), None);
        assert!(control.view(None).types.is_empty(), "nothing holds any more");
    }

    #[test]
    fn what_the_worker_does_not_have_is_refused_with_what_it_has() {
        let (control, _) = control();
        let refusal = control.give(&order(Target::Queue("job".into()), Action::Pause)).unwrap_err();
        let Refusal::Unknown { error, known } = refusal else { panic!("{refusal:?}") };
        assert!(error.contains("\"job\"") && known == ["jobs", "slow"], "{error} {known:?}");
        assert!(control.give(&order(Target::Type("image".into()), Action::Pause)).is_err());
    }

    #[test]
    fn an_order_ends_with_its_time() {
        let (control, _) = control();
        let orders = control.of_queue("jobs").unwrap();
        let lasts = Some(Duration::from_millis(30));
        control.give(&Order { lasts, ..order(jobs(), Action::Pause) }).unwrap();
        let wait = control.tick().unwrap();
        assert!(orders.borrow().is_paused && wait <= Duration::from_millis(30), "{wait:?}");
        std::thread::sleep(Duration::from_millis(31));
        assert_eq!(control.tick(), None);
        assert!(!orders.borrow().is_paused && control.view(None).queues[0].here.is_empty());
    }
}
