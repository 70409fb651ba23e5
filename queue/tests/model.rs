//! Compares the state machine with a slow and simple model: a list of messages that is searched for every call.
//!
//! The model predicts what may happen, and for FIFO queues exactly what must happen; it leaves the order of a standard queue
//! open.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::Duration;

use drumline_queue::api::{
    ChangeMessageVisibility, CreateQueue, DeleteMessage, ReceiveMessage, ReceivedMessage, SendMessage,
};
use drumline_queue::{Identity, MessageState, Sqs, Timestamp};
use proptest::prelude::*;

const VISIBILITY_SECS: u64 = 10;
const MAX_RECEIVES: u32 = 3;
const RETENTION_SECS: u64 = 60;

#[derive(Debug, Clone, Copy)]
enum Step {
    Send {
        group: u8,
        delay: u8,
    },
    Receive {
        max: u8,
        visibility: Option<u8>,
    },
    /// Deletes with the handle of an earlier receive, stale or not, counted back from the latest.
    Delete {
        back: usize,
    },
    Hide {
        back: usize,
        secs: u8,
    },
    Pass {
        secs: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_u8, 0..8_u8).prop_map(|(group, delay)| Step::Send { group, delay: delay.saturating_sub(4) }),
        4 => (1..=4_u8, prop::option::of(0..15_u8)).prop_map(|(max, visibility)| Step::Receive { max, visibility }),
        3 => (0..8_usize).prop_map(|back| Step::Delete { back }),
        2 => (0..8_usize, 0..15_u8).prop_map(|(back, secs)| Step::Hide { back, secs }),
        3 => (0..15_u8).prop_map(|secs| Step::Pass { secs }),
    ]
}

/// A message in the model.
#[derive(Debug, Clone)]
struct Known {
    number: usize,
    group: u8,
    sent_at: Timestamp,
    hidden_until: Timestamp,
    /// The current receive's handle; `None` if the message was never received.
    handle: Option<String>,
    receives: u32,
}

/// All messages in the source queue in the order they were sent, and the numbers of the dead ones.
#[derive(Debug, Default)]
struct Model {
    live: Vec<Known>,
    dead: BTreeSet<usize>,
}

impl Model {
    fn advance(&mut self, now: Timestamp) {
        self.live.retain(|m| m.sent_at.plus(Duration::from_secs(RETENTION_SECS)) > now);
    }

    fn in_flight(message: &Known, now: Timestamp) -> bool {
        message.handle.is_some() && message.hidden_until > now
    }

    /// Returns the messages that a receive may return: visible ones, and on a FIFO queue only those without a hidden message
    /// before them.
    fn open(&self, fifo: bool, now: Timestamp) -> Vec<usize> {
        let visible = |m: &Known| m.hidden_until <= now;
        let blocks = |before: &Known, m: &Known| before.group == m.group && !visible(before);
        let open = |(place, m): &(usize, &Known)| {
            visible(m) && !(fifo && self.live[..*place].iter().any(|before| blocks(before, m)))
        };
        self.live.iter().enumerate().filter(open).map(|(_, m)| m.number).collect()
    }

    fn get(&mut self, number: usize) -> &mut Known {
        self.live.iter_mut().find(|m| m.number == number).unwrap()
    }
}

struct Run {
    fifo: bool,
    name: &'static str,
    sqs: Sqs,
    now: Timestamp,
    model: Model,
    sent: usize,
    /// Every handle that was returned, with its message.
    handles: Vec<(String, usize)>,
}

impl Run {
    fn new(fifo: bool) -> Self {
        let (name, dead) = if fifo { ("q.fifo", "d.fifo") } else { ("q", "d") };
        let now = Timestamp::from_secs(1_000_000);
        let mut sqs = Sqs::new(Identity::at("http://localhost"), 7);
        let policy = format!(
            r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":{MAX_RECEIVES}}}"#,
            sqs.queue_arn(dead)
        );
        let visibility = VISIBILITY_SECS.to_string();
        let retention = RETENTION_SECS.to_string();
        let source = [
            ("VisibilityTimeout", visibility.as_str()),
            ("MessageRetentionPeriod", &retention),
            ("RedrivePolicy", &policy),
        ];
        for (name, attributes) in [(dead, &[][..]), (name, &source[..])] {
            let fifo_attribute = fifo.then_some(("FifoQueue", "true"));
            let attributes = attributes.iter().copied().chain(fifo_attribute);
            let request = CreateQueue {
                queue_name: name.into(),
                attributes: attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
                ..Default::default()
            };
            sqs.create_queue(now, request).unwrap();
        }
        Self { fifo, name, sqs, now, model: Model::default(), sent: 0, handles: Vec::new() }
    }

    fn step(&mut self, step: Step) {
        self.model.advance(self.now);
        match step {
            Step::Send { group, delay } => self.send(group, if self.fifo { 0 } else { delay }),
            Step::Receive { max, visibility } => self.receive(usize::from(max), visibility),
            Step::Delete { back } => self.delete(back),
            Step::Hide { back, secs } => self.hide(back, secs),
            Step::Pass { secs } => self.now = self.now.plus(Duration::from_secs(secs.into())),
        }
        self.model.advance(self.now);
        self.compare();
    }

    fn send(&mut self, group: u8, delay: u8) {
        let number = self.sent;
        self.sent += 1;
        let request = SendMessage {
            queue_url: self.name.into(),
            message_body: number.to_string(),
            delay_seconds: (delay > 0).then_some(delay.into()),
            message_group_id: self.fifo.then(|| group.to_string()),
            message_deduplication_id: self.fifo.then(|| number.to_string()),
            ..Default::default()
        };
        self.sqs.send_message(self.now, request).unwrap();
        self.model.live.push(Known {
            number,
            group,
            sent_at: self.now,
            hidden_until: self.now.plus(Duration::from_secs(delay.into())),
            handle: None,
            receives: 0,
        });
    }

    fn receive(&mut self, max: usize, visibility: Option<u8>) {
        let open = self.model.open(self.fifo, self.now);
        let request = ReceiveMessage {
            queue_url: self.name.into(),
            max_number_of_messages: Some(i64::try_from(max).unwrap()),
            visibility_timeout: visibility.map(i64::from),
            message_system_attribute_names: vec!["All".into()],
            ..Default::default()
        };
        let received = self.sqs.receive_message(self.now, &request).unwrap().messages;
        let buried = self.newly_dead();
        for number in &buried {
            assert!(open.contains(number), "only what could have been received dies");
            assert!(
                self.model.get(*number).receives >= MAX_RECEIVES,
                "and only when it was received too often"
            );
            self.model.live.retain(|m| m.number != *number);
            self.model.dead.insert(*number);
        }
        let receivable: Vec<usize> = self.model.open(self.fifo, self.now);
        let fresh = receivable
            .iter()
            .filter(|n| self.model.live.iter().any(|m| m.number == **n && m.receives < MAX_RECEIVES));
        assert_eq!(received.len(), max.min(fresh.count()), "as many as there are");
        let numbers: Vec<usize> = received.iter().map(number_of).collect();
        for (message, number) in received.iter().zip(&numbers) {
            assert!(receivable.contains(number), "only what is visible and not held up");
            let hidden_until = self.now.plus(
                visibility.map_or(Duration::from_secs(VISIBILITY_SECS), |v| Duration::from_secs(v.into())),
            );
            let known = self.model.get(*number);
            known.receives += 1;
            known.hidden_until = hidden_until;
            known.handle = Some(message.receipt_handle.clone());
            assert_eq!(message.attributes.approximate_receive_count, Some(known.receives));
            assert!(known.receives <= MAX_RECEIVES);
            self.handles.push((message.receipt_handle.clone(), *number));
        }
        if self.fifo {
            self.check_order(&numbers, &receivable);
        }
    }

    /// Checks that within each group the received messages are an unbroken run from the group's front.
    fn check_order(&self, received: &[usize], receivable: &[usize]) {
        for group in 0..3 {
            let in_group = |n: &&usize| self.model.live.iter().any(|m| m.number == **n && m.group == group);
            let got: Vec<&usize> = received.iter().filter(in_group).collect();
            let front: Vec<&usize> = receivable.iter().filter(in_group).take(got.len()).collect();
            assert_eq!(got, front);
        }
    }

    fn newly_dead(&mut self) -> Vec<usize> {
        let dead = if self.fifo { "d.fifo" } else { "d" };
        let bodies = self.sqs.peek(self.now, dead).unwrap();
        bodies.iter().map(|m| m.body.parse().unwrap()).filter(|n| !self.model.dead.contains(n)).collect()
    }

    fn delete(&mut self, back: usize) {
        let Some((handle, number)) = self.handles.iter().rev().nth(back).cloned() else { return };
        let request = DeleteMessage { queue_url: self.name.into(), receipt_handle: handle.clone() };
        let result = self.sqs.delete_message(self.now, &request);
        let now = self.now;
        let known = self.model.live.iter().find(|m| m.number == number);
        let current = known.is_some_and(|m| m.handle.as_ref() == Some(&handle));
        let expired = known.is_some_and(|m| !current || !Model::in_flight(m, now));
        assert_eq!(result.is_err(), self.fifo && expired);
        if current && result.is_ok() {
            self.model.live.retain(|m| m.number != number);
        }
    }

    fn hide(&mut self, back: usize, secs: u8) {
        let Some((handle, number)) = self.handles.iter().rev().nth(back).cloned() else { return };
        let request = ChangeMessageVisibility {
            queue_url: self.name.into(),
            receipt_handle: handle.clone(),
            visibility_timeout: Some(secs.into()),
        };
        let result = self.sqs.change_message_visibility(self.now, &request);
        let now = self.now;
        let known = self.model.live.iter_mut().find(|m| m.number == number);
        let is_own = |m: &Known| m.handle.as_ref() == Some(&handle) && Model::in_flight(m, now);
        // A standard queue accepts handles of earlier receives, and late changes.
        let fifo = self.fifo;
        let held = known.filter(|m| !fifo || is_own(m));
        assert_eq!(result.is_ok(), held.is_some());
        if let Some(held) = held {
            held.hidden_until = now.plus(Duration::from_secs(secs.into()));
        }
    }

    /// Checks that the queue contains exactly the model's messages in the same states.
    fn compare(&mut self) {
        let peeked = self.sqs.peek(self.now, self.name).unwrap();
        let actual: Vec<(usize, u32, Option<Timestamp>)> = peeked
            .iter()
            .map(|m| (m.body.parse().unwrap(), m.receive_count, hidden_until(m.state)))
            .collect();
        let expected: Vec<(usize, u32, Option<Timestamp>)> = self
            .model
            .live
            .iter()
            .map(|m| (m.number, m.receives, Some(m.hidden_until).filter(|until| *until > self.now)))
            .collect();
        assert_eq!(actual, expected);
        let open = !self.model.open(self.fifo, self.now).is_empty();
        assert_eq!(self.sqs.has_receivable(self.now, self.name).unwrap(), open);
    }
}

fn number_of(message: &ReceivedMessage) -> usize {
    message.body.parse().unwrap()
}

fn hidden_until(state: MessageState) -> Option<Timestamp> {
    match state {
        MessageState::Visible => None,
        MessageState::Delayed { until } | MessageState::InFlight { until } => Some(until),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_standard_queue_does_what_the_model_does(steps in prop::collection::vec(step(), 1..120)) {
        let mut run = Run::new(false);
        for step in steps {
            run.step(step);
        }
    }

    #[test]
    fn a_fifo_queue_does_what_the_model_does(steps in prop::collection::vec(step(), 1..120)) {
        let mut run = Run::new(true);
        for step in steps {
            run.step(step);
        }
    }
}
