//! The process's answers about itself: alive, ready, and its metrics.

mod control;
mod door;
mod gate;
mod jobs;
mod relay;
mod serve;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use drumline::core::{Limits, PauseReason, TypeSnapshot};
use drumline_runtime::activity::{QueueActivity, WorkerActivity};
use drumline_runtime::{PORT_PATIENCE, QueueStatus, waiting_for, when_free};
use drumline_store::Store;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

use crate::activity::Activity;
use crate::control::Control;
use crate::depth::Depths;
use crate::gate::Gates;
use crate::metrics::Metrics;
pub(crate) use door::Door;
pub(crate) use relay::RelayReadiness;
use serve::{Bounds, HEADER_TIME, serve};

/// The readiness of the process.
#[derive(Clone)]
pub(crate) struct Readiness {
    queues: Arc<[(String, Arc<QueueStatus>)]>,
    store_answers: watch::Receiver<bool>,
    draining: Arc<AtomicBool>,
    limits: Option<Limits>,
}

impl Readiness {
    pub(crate) fn new(queues: Vec<(String, Arc<QueueStatus>)>, store_answers: watch::Receiver<bool>) -> Self {
        Self { queues: queues.into(), store_answers, draining: Arc::default(), limits: None }
    }

    /// As this one, with what jobs wait for of these limits.
    pub(crate) fn with_limits(self, limits: Limits) -> Self {
        Self { limits: Some(limits), ..self }
    }

    /// Returns whether the process is ready, and its state in one sentence.
    fn state(&self) -> (bool, String) {
        let problem = self.problem();
        let is_ready = problem.is_none();
        let state = match problem {
            // An operator's pause is wanted: the process is as ready as it is meant to be.
            None => match self.paused(|_| true) {
                Some(paused) => format!("ready; {paused}"),
                None => "ready".to_owned(),
            },
            Some(problem) => format!("not ready: {problem}"),
        };
        match waiting_for(&self.types(), now()) {
            Some(waiting) => (is_ready, format!("{state}; {waiting}")),
            None => (is_ready, state),
        }
    }

    /// The facts that decide if jobs run, as the loops of the queues and the limits report them.
    pub(crate) fn facts(&self) -> WorkerActivity {
        WorkerActivity {
            is_draining: self.draining.load(Ordering::Relaxed),
            queues: self.queues.iter().map(|(name, status)| QueueActivity::of(name, status)).collect(),
            types: self.types(),
        }
    }

    fn types(&self) -> Vec<TypeSnapshot> {
        self.limits.as_ref().map(|limits| limits.snapshot(now())).unwrap_or_default()
    }

    /// From now on nothing new is begun.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Returns the reason why the process is not ready; `None` if it is ready.
    fn problem(&self) -> Option<String> {
        if self.draining.load(Ordering::Relaxed) {
            return Some("draining".to_owned());
        }
        let unreachable = self.unreachable();
        let paused = self.paused(|reason| reason != PauseReason::Operator);
        let problems: Vec<String> = [unreachable, paused].into_iter().flatten().collect();
        (!problems.is_empty()).then(|| problems.join("; "))
    }

    fn unreachable(&self) -> Option<String> {
        let unhealthy = self.queues.iter().filter(|(_, status)| !status.is_healthy());
        let mut unhealthy: Vec<&str> = unhealthy.map(|(name, _)| name.as_str()).collect();
        if !*self.store_answers.borrow() {
            unhealthy.push("the store");
        }
        (!unhealthy.is_empty()).then(|| format!("out of reach: {}", unhealthy.join(", ")))
    }

    /// The queues that are paused for such reasons, each with them.
    fn paused(&self, counts: impl Fn(PauseReason) -> bool) -> Option<String> {
        let paused = self.queues.iter().filter_map(|(name, status)| {
            let reasons = status.pauses().into_iter().filter(|reason| counts(*reason));
            let label = |reason: PauseReason| match status.target_problem() {
                Some(problem) if reason == PauseReason::TargetUnhealthy => {
                    format!("{}: {problem}", reason.label())
                }
                _ => reason.label().to_owned(),
            };
            let reasons: Vec<String> = reasons.map(label).collect();
            (!reasons.is_empty()).then(|| format!("{name} ({})", reasons.join(", ")))
        });
        let paused: Vec<String> = paused.collect();
        (!paused.is_empty()).then(|| format!("paused: {}", paused.join(", ")))
    }
}

/// The parts that the endpoint shows.
pub(crate) struct Shown {
    pub(crate) metrics: Metrics,
    pub(crate) depths: Depths,
    pub(crate) gates: Gates,
    pub(crate) readiness: Readiness,
    pub(crate) activity: Activity,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) control: Control,
}

/// The server; it ends when dropped.
pub(crate) struct Endpoint {
    server: JoinHandle<()>,
}

impl Endpoint {
    pub(crate) async fn serve(
        addr: SocketAddr,
        door: Door,
        shown: Shown,
        connections: usize,
    ) -> std::io::Result<Self> {
        let Shown { metrics, depths, gates, readiness, activity, store, control } = shown;
        let routes = Router::new()
            .route("/livez", get(live))
            .route("/readyz", get(ready).with_state((readiness, activity, door.clone())))
            .route("/metrics", get(show).with_state((metrics, depths)))
            .merge(
                jobs::routes(store)
                    .merge(gate::routes(gates))
                    .merge(control::routes(control, door.clone()))
                    .route_layer(middleware::from_fn_with_state(door, door::guard)),
            );
        Self::listen(addr, routes, connections).await
    }

    /// Serves the metrics of a relay and whether it is ready, without anything about jobs.
    pub(crate) async fn serve_relay(
        addr: SocketAddr,
        (metrics, depths): (Metrics, Depths),
        readiness: RelayReadiness,
        connections: usize,
    ) -> std::io::Result<Self> {
        let routes = Router::new()
            .route("/livez", get(live))
            .route("/readyz", get(relay::ready).with_state(readiness))
            .route("/metrics", get(show).with_state((metrics, depths)));
        Self::listen(addr, routes, connections).await
    }

    async fn listen(addr: SocketAddr, routes: Router, connections: usize) -> std::io::Result<Self> {
        let listener = when_free(
            async || TcpListener::bind(addr).await,
            || warn!(%addr, retried_for = ?PORT_PATIENCE, "the address of the HTTP endpoint is in use, retrying"),
        )
        .await?;
        let bounds = Bounds { connections, header_time: HEADER_TIME };
        Ok(Self { server: tokio::spawn(serve(listener, routes, bounds)) })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn live() -> &'static str {
    "ok\n"
}

/// `/readyz`: the state in one line. `/readyz?verbose`: and what the worker does, or why it runs nothing, in a second line.
async fn ready(
    State((readiness, activity, door)): State<(Readiness, Activity, Door)>,
    request: Request,
) -> Response {
    let (is_ready, mut text) = readiness.state();
    text.push('\n');
    if is_verbose(request.uri().query().unwrap_or_default()) {
        let explanation = activity.explain(door.lets_read(&request)).await;
        text = format!("{text}{}\n", explanation.sentence);
    }
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, text).into_response()
}

/// Returns true if a query asks for more than the state, by `verbose` with or without a value.
fn is_verbose(query: &str) -> bool {
    query.split('&').any(|part| part.split('=').next() == Some("verbose"))
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Exemplars are for clients that ask for `OpenMetrics`: others may not know them.
async fn show(State((metrics, depths)): State<(Metrics, Depths)>, headers: HeaderMap) -> impl IntoResponse {
    depths.refresh().await;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let text = if takes_open_metrics(&headers) { metrics.encode_with_exemplars() } else { metrics.encode() };
    ([(header::CONTENT_TYPE, content_type)], text)
}

fn takes_open_metrics(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| {
        let essence = kind.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/openmetrics-text")
    })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::time::Duration;

    use drumline::core::{
        Effect, Ending, Jitter, JobClass, Ledger, LimitRules, Policy, RunReport, TypeRules,
    };
    use drumline::message::Message;

    use super::*;

    #[test]
    fn readiness_lists_unreachable_parts_and_pauses_with_reasons() {
        let status = Arc::new(QueueStatus::default());
        let (store, store_answers) = watch::channel(true);
        let readiness = Readiness::new(vec![("jobs".to_owned(), Arc::clone(&status))], store_answers);
        assert_eq!(readiness.problem().as_deref(), Some("out of reach: jobs"));
        store.send_replace(false);
        status.set_pauses([PauseReason::StoreDown, PauseReason::BreakerOpen].into_iter());
        let problem = readiness.problem();
        let all = "out of reach: jobs, the store; paused: jobs (store_down, breaker_open)";
        assert_eq!(problem.as_deref(), Some(all));
        status.set_pauses(std::iter::once(PauseReason::TargetUnhealthy));
        status.set_target_problem(Some(&"connection refused (111)".into()));
        let problem = readiness.problem().unwrap_or_default();
        assert!(problem.ends_with("paused: jobs (target_unhealthy: connection refused (111))"), "{problem}");
        readiness.drain();
        assert_eq!(readiness.problem().as_deref(), Some("draining"));
    }

    #[test]
    fn an_operators_pause_is_named_and_no_problem() {
        let status = Arc::new(QueueStatus::default());
        let readiness =
            Readiness::new(vec![("jobs".to_owned(), Arc::clone(&status))], watch::channel(true).1);
        status.set_pauses([PauseReason::Operator].into_iter());
        assert_eq!(readiness.problem().as_deref(), Some("out of reach: jobs"));
        assert_eq!(readiness.paused(|_| true).as_deref(), Some("paused: jobs (operator)"));
    }

    #[test]
    fn a_query_asks_for_more_by_verbose() {
        for (query, expected) in
            [("", false), ("verbose", true), ("verbose=1", true), ("a=b&verbose", true), ("verbosely", false)]
        {
            assert_eq!(is_verbose(query), expected, "{query}");
        }
    }

    #[test]
    fn exemplars_are_for_clients_that_take_open_metrics() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let table = [
            (prometheus, true),
            ("text/plain, Application/OpenMetrics-Text", true),
            ("*/*", false),
            ("", false),
        ];
        for (accept, expected) in table {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().expect("a header"))]);
            assert_eq!(takes_open_metrics(&headers), expected, "{accept}");
        }
    }

    #[test]
    fn the_state_names_what_jobs_wait_for() {
        let mut rules = LimitRules::none(NonZeroUsize::MIN);
        let one = TypeRules { concurrency: NonZeroUsize::new(1), ..TypeRules::default() };
        rules.types.insert("mail".to_owned(), one);
        let limits = Limits::new(rules);
        let readiness = Readiness::new(Vec::new(), watch::channel(true).1).with_limits(limits.clone());
        assert_eq!(readiness.state(), (true, "ready".to_owned()));
        let mut ledger = ledger_with_two_of("mail", &limits);
        let waits = "1 job of mail waits for a slot (1 of 1 run)";
        assert_eq!(readiness.state(), (true, format!("ready; {waits}")));
        readiness.drain();
        assert_eq!(readiness.state(), (false, format!("not ready: draining; {waits}")));
        ledger.drain(now(), Duration::ZERO);
        ledger.tick(now());
        assert_eq!(readiness.state().1, "not ready: draining");
    }

    /// A ledger with a job that runs and one that waits.
    fn ledger_with_two_of(job_type: &str, limits: &Limits) -> Ledger {
        let class = JobClass::of_type(job_type);
        let policy = Policy::new(Duration::from_secs(30));
        let mut ledger = Ledger::new(Policy { polling: None, ..policy }).expect("a policy in order");
        ledger.set_limits(limits.clone());
        let message = |id: &str| Message { id: id.into(), receipt: "r".into(), ..Message::default() };
        ledger.deliver(now(), vec![message("m1"), message("m2")]);
        ledger.tick(now());
        let starts = std::iter::from_fn(|| ledger.next_effect()).filter_map(|effect| match effect {
            Effect::Start(start) => Some(start.delivery),
            _ => None,
        });
        let starts: Vec<_> = starts.collect();
        let permit = limits.ask(now(), &class).expect("the first may run");
        let wait = limits.ask(now(), &class).expect_err("the second has to wait");
        let ending = Ending::Limited { remaining: Duration::ZERO, limit: wait.reason, reason: String::new() };
        let report = RunReport::new(ending, Some(job_type.into()));
        let report = RunReport { limited: Some(Box::new((class, wait))), ..report };
        ledger.ended(now(), starts[1], report, Jitter::new(0));
        ledger.tick(now());
        std::mem::forget(permit);
        ledger
    }
}
