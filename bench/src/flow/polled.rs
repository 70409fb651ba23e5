//! The usual ways to share slots among queues, for comparison: one loop polls one queue after the other with short polls, for
//! as many messages as there are free slots.

use std::time::Duration;

use super::load::Scenario;
use super::model::{REQUEST, World};

/// The time for which a queue is not polled after it had no message.
const PAUSE: Duration = Duration::from_secs(1);

/// The largest number of messages in a receive.
const MOST: usize = 10;

/// The order in which queues are polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The queue with the largest weight first, as long as it has messages.
    Strict,
    /// Each queue in turn.
    RoundRobin,
    /// The queue with the fewest starts for its weight, among those with messages.
    Starts,
}

#[derive(Clone, Copy)]
enum Event {
    Arrive { queue: usize, every: Duration, count: usize },
    Lands(usize, usize),
    Ends,
    Resume,
}

struct Loop {
    world: World<Event>,
    order: Order,
    free: usize,
    is_asking: bool,
    /// The time until which each queue is not polled.
    paused_until: Vec<Duration>,
    turn: usize,
    weights: Vec<f64>,
    starts: Vec<f64>,
}

/// Plays a scenario until its end.
pub(super) fn play(scenario: &Scenario, order: Order, seed: u64) -> World<()> {
    let mut polling = Loop {
        world: World::new(scenario, seed),
        order,
        free: scenario.slots,
        is_asking: false,
        paused_until: vec![Duration::ZERO; scenario.loads.len()],
        turn: 0,
        weights: scenario.loads.iter().map(|load| f64::from(load.rules.weight.get())).collect(),
        starts: vec![0.0; scenario.loads.len()],
    };
    for queue in 0..scenario.loads.len() {
        if let Some((first, every, count)) = polling.world.arrivals(queue) {
            polling.world.after(first, Event::Arrive { queue, every, count });
        }
    }
    polling.asks();
    while let Some(event) = polling.world.next(None) {
        if let Some(event) = event {
            polling.happens(event);
        }
        polling.world.settles();
    }
    polling.world.ended()
}

impl Loop {
    fn happens(&mut self, event: Event) {
        match event {
            Event::Arrive { queue, every, count } => {
                self.world.send(queue, count);
                self.world.after(every, Event::Arrive { queue, every, count });
            }
            Event::Lands(queue, max) => {
                self.is_asking = false;
                let messages = self.world.take(queue, max);
                if !messages.is_empty() && self.paused_until[queue] > Duration::ZERO {
                    self.paused_until[queue] = Duration::ZERO;
                    self.forgets_idle_time(queue);
                }
                if messages.is_empty() {
                    self.paused_until[queue] = self.world.now + PAUSE;
                    self.world.after(PAUSE, Event::Resume);
                }
                for sent_at in messages {
                    self.free -= 1;
                    let time = self.world.starts(queue, sent_at);
                    self.world.after(time, Event::Ends);
                    self.starts[queue] += 1.0 / self.weights[queue];
                }
            }
            Event::Ends => self.free += 1,
            // A queue can be polled again.
            Event::Resume => {}
        }
        self.asks();
    }

    /// Updates a queue that has messages again, so that it has no more pending starts than the others.
    fn forgets_idle_time(&mut self, queue: usize) {
        let others =
            (0..self.starts.len()).filter(|other| *other != queue && self.paused_until[*other].is_zero());
        let least = others.map(|other| self.starts[other]).reduce(f64::min);
        self.starts[queue] = self.starts[queue].max(least.unwrap_or_default());
    }

    fn asks(&mut self) {
        if self.is_asking || self.free == 0 {
            return;
        }
        let Some(queue) = self.next() else { return };
        self.is_asking = true;
        self.world.after(REQUEST, Event::Lands(queue, self.free.min(MOST)));
    }

    fn next(&mut self) -> Option<usize> {
        let count = self.weights.len();
        let may_ask = |queue: &usize| self.paused_until[*queue] <= self.world.now;
        let mut with_messages = (0..count).filter(may_ask);
        match self.order {
            Order::Strict => with_messages.max_by(|a, b| self.weights[*a].total_cmp(&self.weights[*b])),
            Order::Starts => with_messages.min_by(|a, b| self.starts[*a].total_cmp(&self.starts[*b])),
            Order::RoundRobin => {
                with_messages.next()?;
                let turns = self.turn..self.turn + count;
                let turn = turns.map(|turn| turn % count).find(may_ask)?;
                self.turn = turn + 1;
                Some(turn)
            }
        }
    }
}
