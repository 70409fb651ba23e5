#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use drumline::core::{Action, Claims, Ledger, Policy, Replies};
use drumline::message::{Intake, Message};
use drumline::{Context, Router};
use drumline_runtime::payload::Payloads;
use drumline_runtime::{BoxFuture, Driver, DriverConfig, Grace, NoopObserver, Queue, SqsError};
use tokio::runtime::Handle;
use tokio::time::{advance, sleep};

use super::protector::ProtectError;
use super::*;

const GRACE: Duration = Duration::from_secs(25);

/// The behaviour of the agent.
#[derive(Clone, Copy, PartialEq)]
enum Behaviour {
    Obeys,
    Refuses,
    /// Carries out requests and does not answer within 10 s.
    ObeysLate,
}

/// An agent that records each request with its time in seconds.
#[derive(Clone)]
struct FakeAgent {
    begun: Instant,
    asked: Arc<Mutex<Vec<(u64, bool)>>>,
    behaviour: Arc<Mutex<Behaviour>>,
}

impl Protector for FakeAgent {
    async fn protect(&self, protected: bool) -> Result<(), ProtectError> {
        self.asked.lock().unwrap().push((self.begun.elapsed().as_secs(), protected));
        let behaviour = *self.behaviour.lock().unwrap();
        match behaviour {
            Behaviour::Obeys => Ok(()),
            Behaviour::Refuses => Err(ProtectError::Refused("refused".to_owned())),
            Behaviour::ObeysLate => {
                sleep(Duration::from_secs(10)).await;
                Err(ProtectError::Unanswered("no answer".to_owned()))
            }
        }
    }
}

struct World {
    queues: Vec<Arc<QueueStatus>>,
    agent: FakeAgent,
}

impl World {
    fn new(queues: usize) -> Self {
        Self::with_grace(queues, GRACE)
    }

    fn with_grace(queues: usize, grace: Duration) -> Self {
        let queues: Vec<_> = (0..queues).map(|_| Arc::new(QueueStatus::default())).collect();
        let behaviour = Arc::new(Mutex::new(Behaviour::Obeys));
        let agent = FakeAgent { begun: Instant::now(), asked: Arc::default(), behaviour };
        tokio::spawn(keep(queues.clone(), grace, agent.clone()));
        Self { queues, agent }
    }

    /// Sets the oldest run of a queue, which began `began_at` seconds after the start of the test.
    fn oldest(&self, queue: usize, began_at: Option<u64>) {
        let began_at = began_at.map(|secs| (self.agent.begun + Duration::from_secs(secs)).into_std());
        self.queues[queue].set_oldest_run(began_at);
    }

    /// Advances the time in steps, so that due work is done at its time.
    async fn until(&self, secs: u64) {
        let end = self.agent.begun + Duration::from_secs(secs);
        settle().await;
        while Instant::now() < end {
            advance(Duration::from_millis(500)).await;
            settle().await;
        }
    }

    fn agent(&self, behaviour: Behaviour) {
        *self.agent.behaviour.lock().unwrap() = behaviour;
    }

    fn asked(&self) -> Vec<(u64, bool)> {
        self.agent.asked.lock().unwrap().clone()
    }
}

/// Gives every task the turns that it needs now.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

/// A queue without messages that confirms every call.
struct Obedient;

impl Queue for Obedient {
    fn receive(&self, _: usize) -> BoxFuture<Result<Vec<Message>, SqsError>> {
        Box::pin(std::future::pending())
    }

    fn perform(&self, action: Action) -> BoxFuture<Replies> {
        Box::pin(std::future::ready(vec![Ok(()); action.deliveries().len()]))
    }
}

/// Runs concurrent jobs of duration `takes` in the loop of a real queue.
async fn run_jobs(status: &Arc<QueueStatus>, takes: Duration, count: usize, concurrency: usize) {
    let policy = Policy {
        concurrency: concurrency.try_into().unwrap(),
        claims: Claims::Off,
        polling: None,
        handler_timeout: Duration::from_secs(3600),
        ..Policy::new(Duration::from_secs(30))
    };
    let mut driver = Driver::new(DriverConfig {
        name: "jobs".into(),
        intake: Arc::new(Intake::new("arn:jobs")),
        ledger: Ledger::new(policy).unwrap(),
        queue: Arc::new(Obedient),
        router: Arc::new(Router::passthrough(move |_: Context| async move {
            sleep(takes).await;
            Ok(())
        })),
        observer: Arc::new(NoopObserver),
        status: Arc::clone(status),
        claim_store: None,
        payloads: Payloads::default(),
        next_jobs: None,
        limits: None,
        handlers: Handle::current(),
    });
    let message = |n| Message {
        id: format!("m{n}").into(),
        receipt: format!("r{n}"),
        receive_count: 1,
        ..Message::default()
    };
    let end = Instant::now() + Duration::from_secs(10_000);
    driver.hand_in((0..count).map(message).collect(), end.into_std());
    let summary = driver.run(std::future::pending::<Grace>()).await.summary;
    assert_eq!(summary.abandoned, 0);
}

#[tokio::test(start_paused = true)]
async fn a_job_of_50_ms_every_10_s_is_never_protected() {
    let world = World::new(1);
    let begun = Instant::now();
    for _ in 0..60 {
        run_jobs(&world.queues[0], Duration::from_millis(50), 1, 32).await;
        sleep(Duration::from_millis(9950)).await;
    }
    assert_eq!(begun.elapsed().as_secs(), 600);
    assert_eq!(world.asked(), []);
}

#[tokio::test(start_paused = true)]
async fn a_job_of_10_minutes_is_protected_from_the_grace_to_its_end() {
    let world = World::new(1);
    sleep(Duration::from_secs(100)).await;
    run_jobs(&world.queues[0], Duration::from_secs(600), 1, 32).await;
    assert_eq!(world.agent.begun.elapsed().as_secs(), 700);
    assert_eq!(
        world.asked(),
        [(125, true), (525, true)],
        "begun, and renewed in time; not given up before the end"
    );
    sleep(Duration::from_secs(300)).await;
    let asked = world.asked();
    assert!(matches!(asked[2..], [(714..=716, false)]), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn messages_that_wait_for_a_place_do_not_count() {
    let world = World::new(1);
    // Each runs for 20 s; the last has then waited for 180 s.
    run_jobs(&world.queues[0], Duration::from_secs(20), 10, 1).await;
    assert_eq!(world.agent.begun.elapsed().as_secs(), 200);
    assert_eq!(world.asked(), []);
}

#[tokio::test(start_paused = true)]
async fn an_idle_task_asks_for_nothing() {
    let world = World::new(2);
    world.until(3600).await;
    assert_eq!(world.asked(), []);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ends_at_the_grace_asks_for_nothing() {
    let world = World::new(1);
    for began_at in (0..600).step_by(30) {
        world.until(began_at).await;
        world.oldest(0, Some(began_at));
        world.until(began_at + 24).await;
        world.oldest(0, None);
    }
    assert_eq!(world.asked(), []);
}

#[tokio::test(start_paused = true)]
async fn the_oldest_run_of_all_queues_counts() {
    let world = World::new(2);
    world.oldest(0, Some(0));
    world.until(10).await;
    world.oldest(1, Some(10));
    world.until(20).await;
    world.oldest(0, Some(20));
    world.until(100).await;
    world.oldest(1, None);
    world.until(110).await;
    world.oldest(0, None);
    world.until(300).await;
    assert_eq!(world.asked(), [(35, true), (125, false)]);
}

#[tokio::test(start_paused = true)]
async fn long_runs_that_overlap_cost_one_request_at_each_end() {
    let world = World::new(1);
    // One begins every 10 s and takes 60 s: after 25 s there is always one older than the grace.
    for oldest in (0..600).step_by(10) {
        world.oldest(0, Some(oldest));
        world.until(oldest + 60).await;
    }
    world.oldest(0, None);
    world.until(1000).await;
    assert_eq!(world.asked(), [(25, true), (425, true), (665, false)]);
}

#[tokio::test(start_paused = true)]
async fn runs_in_close_succession_do_not_switch_it_off_and_on() {
    let world = World::with_grace(1, Duration::from_secs(5));
    for began_at in (0..300).step_by(20) {
        world.oldest(0, Some(began_at));
        world.until(began_at + 19).await;
        world.oldest(0, None);
        world.until(began_at + 20).await;
    }
    assert_eq!(world.asked(), [(5, true)]);
}

#[tokio::test(start_paused = true)]
async fn requests_are_bounded_however_the_runs_come() {
    let world = World::with_grace(1, Duration::from_secs(1));
    for began_at in (0..3600).step_by(18) {
        world.oldest(0, Some(began_at));
        world.until(began_at + 2).await;
        world.oldest(0, None);
        world.until(began_at + 18).await;
    }
    let asked = world.asked();
    assert!(asked.len() > 100, "the pause is longer than the hold: {}", asked.len());
    assert!(asked.windows(3).all(|asked| asked[2].0 - asked[0].0 >= 15), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_long_protection_is_renewed_before_it_expires() {
    let world = World::new(1);
    world.oldest(0, Some(0));
    world.until(1300).await;
    assert_eq!(world.asked(), [(25, true), (425, true), (825, true), (1225, true)]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_request_is_made_again_while_it_is_needed() {
    let world = World::new(1);
    world.agent(Behaviour::Refuses);
    world.oldest(0, Some(0));
    world.until(95).await;
    world.agent(Behaviour::Obeys);
    world.until(150).await;
    world.oldest(0, None);
    world.agent(Behaviour::Refuses);
    world.until(170).await;
    world.agent(Behaviour::Obeys);
    world.until(300).await;
    let asked = [(25, true), (55, true), (85, true), (115, true), (165, false), (195, false)];
    assert_eq!(world.asked(), asked);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_refuses_is_not_asked_for_runs_that_have_ended() {
    let world = World::new(1);
    world.agent(Behaviour::Refuses);
    world.oldest(0, Some(0));
    world.until(40).await;
    world.oldest(0, None);
    world.until(600).await;
    assert_eq!(world.asked(), [(25, true)]);
}

#[tokio::test(start_paused = true)]
async fn a_protection_without_an_answer_is_ended_after_the_run() {
    let world = World::new(1);
    world.agent(Behaviour::ObeysLate);
    world.oldest(0, Some(0));
    world.until(40).await;
    world.oldest(0, None);
    world.agent(Behaviour::Obeys);
    world.until(600).await;
    let asked = world.asked();
    assert!(matches!(asked[..], [(25, true), (65..=66, false)]), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_protection_without_an_answer_is_requested_again() {
    let world = World::new(1);
    world.agent(Behaviour::ObeysLate);
    world.oldest(0, Some(0));
    world.until(40).await;
    world.agent(Behaviour::Obeys);
    world.until(100).await;
    world.oldest(0, None);
    world.until(600).await;
    let asked = world.asked();
    assert!(matches!(asked[..], [(25, true), (65..=66, true), (114..=116, false)]), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_protection_that_has_expired_is_not_asked_for() {
    let world = World::new(1);
    world.agent(Behaviour::ObeysLate);
    world.oldest(0, Some(0));
    world.until(40).await;
    world.oldest(0, None);
    world.until(2000).await;
    let asked = world.asked();
    assert!(asked[1..].iter().all(|(_, wanted)| !wanted), "{asked:?}");
    let (last, _) = asked.last().unwrap();
    assert!((1200..=1240).contains(last), "20 minutes of protection: {asked:?}");
    world.until(4000).await;
    assert_eq!(world.asked(), asked);
}
