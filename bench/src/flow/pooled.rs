//! Drumline's queues: one ledger each, and one pool of slots.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use anyhow::Result;
use drumline::core::{
    Call, DeliveryId, Effect, Ending, Jitter, Ledger, Policy, Receive, RunReport, SlotPool,
};
use drumline::message::Message;

use super::load::Scenario;
use super::model::{REQUEST, World};

const LONG_POLL: Duration = Duration::from_secs(20);

enum Event {
    Arrive {
        queue: usize,
        every: Duration,
        count: usize,
    },
    /// A receive has reached SQS.
    Asked(usize, Receive),
    /// The wait of a long poll is over.
    PollEnds(usize, Receive),
    Ends(usize, DeliveryId),
    Called(usize, Call),
}

struct Host {
    world: World<Event>,
    ledgers: Vec<Ledger>,
    /// The long polls of each queue that wait for messages.
    polls: Vec<Vec<Receive>>,
    /// The times when the messages in hand were sent.
    sent: HashMap<String, Duration>,
    received: usize,
    born: Instant,
}

/// Plays a scenario until its end.
pub(super) fn play(scenario: &Scenario, seed: u64) -> Result<World<()>> {
    let slots = NonZeroUsize::new(scenario.slots).unwrap_or(NonZeroUsize::MIN);
    let pool = SlotPool::new(slots);
    let mut ledgers = Vec::new();
    for load in &scenario.loads {
        let mut ledger = Ledger::new(Policy { concurrency: slots, ..Policy::new(Duration::from_secs(300)) })?;
        ledger.join_pool(pool.join(load.name, load.rules));
        ledgers.push(ledger);
    }
    let mut host = Host {
        world: World::new(scenario, seed),
        polls: vec![Vec::new(); ledgers.len()],
        ledgers,
        sent: HashMap::new(),
        received: 0,
        born: Instant::now(),
    };
    host.plays();
    Ok(host.world.ended())
}

impl Host {
    fn plays(&mut self) {
        for queue in 0..self.ledgers.len() {
            if let Some((first, every, count)) = self.world.arrivals(queue) {
                self.world.after(first, Event::Arrive { queue, every, count });
            }
            self.act(queue);
        }
        loop {
            let timeouts = self.ledgers.iter().filter_map(Ledger::timeout);
            let timeout = timeouts.min().map(|at| at.saturating_duration_since(self.born));
            let Some(event) = self.world.next(timeout) else { return };
            match event {
                Some(event) => self.happens(event),
                None => self.time_passes(),
            }
            while let Some(queue) = self.ledgers.iter().position(Ledger::has_new_slots) {
                self.act(queue);
            }
            self.world.settles();
        }
    }

    fn now(&self) -> Instant {
        self.born + self.world.now
    }

    fn time_passes(&mut self) {
        for queue in 0..self.ledgers.len() {
            if self.ledgers[queue].timeout().is_some_and(|at| at <= self.now()) {
                self.act(queue);
            }
        }
    }

    fn happens(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::Arrive { queue, every, count } => {
                self.world.send(queue, count);
                self.world.after(every, Event::Arrive { queue, every, count });
                for receive in std::mem::take(&mut self.polls[queue]) {
                    self.lands(queue, receive);
                }
            }
            Event::Asked(queue, receive) if receive.is_short || self.world.has_message(queue) => {
                self.lands(queue, receive);
            }
            Event::Asked(queue, receive) => {
                self.polls[queue].push(receive);
                self.world.after(LONG_POLL, Event::PollEnds(queue, receive));
            }
            Event::PollEnds(queue, receive) => {
                if let Some(open) = self.polls[queue].iter().position(|open| open.id == receive.id) {
                    self.polls[queue].remove(open);
                    self.lands(queue, receive);
                }
            }
            Event::Ends(queue, delivery) => {
                let report = RunReport::new(Ending::Done, None);
                self.ledgers[queue].ended(now, delivery, report, Jitter::new(0));
                self.act(queue);
            }
            Event::Called(queue, call) => {
                let replies = vec![Ok(()); call.action.deliveries().len()];
                self.ledgers[queue].called(now, call.id, replies, Jitter::new(0));
                self.act(queue);
            }
        }
    }

    /// Answers a receive with the messages that are in the queue now.
    fn lands(&mut self, queue: usize, receive: Receive) {
        let now = self.now();
        let mut messages = Vec::new();
        for sent_at in self.world.take(queue, receive.max) {
            self.received += 1;
            let id = format!("{queue}-{}", self.received);
            self.sent.insert(id.clone(), sent_at);
            messages.push(Message {
                receipt: id.clone(),
                id: id.into(),
                receive_count: 1,
                sent_at: Some(sent_at),
                ..Message::default()
            });
        }
        self.ledgers[queue].note_age(self.world.now, &messages);
        self.ledgers[queue].received(now, receive.id, messages);
        self.act(queue);
    }

    fn act(&mut self, queue: usize) {
        let now = self.now();
        self.ledgers[queue].tick(now);
        while let Some(effect) = self.ledgers[queue].next_effect() {
            match effect {
                Effect::Start(start) => {
                    let sent_at = self.sent.remove(&*start.message.id).unwrap_or_default();
                    let time = self.world.starts(queue, sent_at);
                    self.world.after(time, Event::Ends(queue, start.delivery));
                }
                Effect::Receive(receive) => self.world.after(REQUEST, Event::Asked(queue, receive)),
                Effect::Call(call) => self.world.after(REQUEST, Event::Called(queue, call)),
                _ => {}
            }
        }
    }
}
