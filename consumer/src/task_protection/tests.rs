#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use tokio::time::advance;

use super::*;

/// Notes what it is asked and when; fails while it is told to.
#[derive(Clone)]
struct Scribe {
    begun: Instant,
    asked: Arc<Mutex<Vec<(u64, bool)>>>,
    failing: Arc<Mutex<bool>>,
}

impl Protector for Scribe {
    async fn protect(&self, protected: bool) -> Result<(), String> {
        self.asked.lock().unwrap().push((self.begun.elapsed().as_secs(), protected));
        if *self.failing.lock().unwrap() { Err("refused".to_owned()) } else { Ok(()) }
    }
}

struct World {
    queues: Vec<Arc<QueueStatus>>,
    scribe: Scribe,
}

impl World {
    fn new(queues: usize) -> Self {
        let queues: Vec<_> = (0..queues).map(|_| Arc::new(QueueStatus::default())).collect();
        let scribe = Scribe { begun: Instant::now(), asked: Arc::default(), failing: Arc::default() };
        tokio::spawn(keep(queues.clone(), scribe.clone()));
        Self { queues, scribe }
    }

    async fn holds(&self, queue: usize, in_hand: usize) {
        self.queues[queue].in_hand(in_hand);
        self.wait(0).await;
    }

    /// In steps, so that what is due on the way is done at its time.
    async fn wait(&self, secs: u64) {
        for _ in 0..secs * 2 {
            settle().await;
            advance(Duration::from_millis(500)).await;
        }
        settle().await;
    }

    fn fail(&self, failing: bool) {
        *self.scribe.failing.lock().unwrap() = failing;
    }

    fn asked(&self) -> Vec<(u64, bool)> {
        self.scribe.asked.lock().unwrap().clone()
    }
}

/// Gives every task the turns that it wants now.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_task_asks_for_nothing() {
    let world = World::new(2);
    world.wait(3600).await;
    assert_eq!(world.asked(), []);
}

#[tokio::test(start_paused = true)]
async fn work_is_protected_at_once_and_given_up_a_while_after_the_last_of_it() {
    let world = World::new(2);
    world.holds(0, 3).await;
    world.wait(10).await;
    world.holds(1, 1).await;
    world.holds(0, 0).await;
    world.wait(20).await;
    world.holds(1, 0).await;
    world.wait(100).await;
    assert_eq!(world.asked(), [(0, true), (45, false)]);
}

#[tokio::test(start_paused = true)]
async fn messages_that_follow_each_other_cost_one_request() {
    let world = World::new(1);
    for _ in 0..30 {
        world.holds(0, 1).await;
        world.wait(1).await;
        world.holds(0, 0).await;
        world.wait(9).await;
    }
    assert_eq!(world.asked(), [(0, true)]);
}

#[tokio::test(start_paused = true)]
async fn long_work_has_its_protection_renewed_before_it_expires() {
    let world = World::new(1);
    world.holds(0, 1).await;
    world.wait(1300).await;
    assert_eq!(world.asked(), [(0, true), (400, true), (800, true), (1200, true)]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_request_is_made_again_while_there_is_work() {
    let world = World::new(1);
    world.fail(true);
    world.holds(0, 1).await;
    world.wait(70).await;
    world.fail(false);
    world.wait(30).await;
    world.holds(0, 0).await;
    world.wait(10).await;
    world.fail(true);
    world.wait(10).await;
    world.fail(false);
    world.wait(100).await;
    let asked = [(0, true), (30, true), (60, true), (90, true), (115, false), (145, false)];
    assert_eq!(world.asked(), asked);
}

#[tokio::test(start_paused = true)]
async fn a_failing_agent_is_not_asked_at_every_message() {
    let world = World::new(1);
    world.fail(true);
    for _ in 0..20 {
        world.holds(0, 1).await;
        world.wait(1).await;
        world.holds(0, 0).await;
        world.wait(1).await;
    }
    assert!(world.asked().len() <= 2, "{:?}", world.asked());
}
