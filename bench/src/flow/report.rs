//! The report of the simulation.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::load::Scenario;
use super::model::World;
use super::polled::{self, Order};
use super::pooled;
use crate::tables::{right_align, table};

#[derive(Serialize)]
pub(super) struct Report {
    seed: u64,
    scenarios: Vec<Played>,
}

#[derive(Serialize)]
struct Played {
    name: &'static str,
    slots: usize,
    seconds: u64,
    ways: Vec<Way>,
}

/// A way to share the slots in one scenario.
#[derive(Serialize)]
struct Way {
    name: &'static str,
    /// The share of the slots' time that runs have used.
    slots_used: f64,
    /// The largest number of messages in hand whose job had not started.
    most_hidden: usize,
    queues: Vec<OfQueue>,
}

#[derive(Serialize)]
struct OfQueue {
    name: &'static str,
    weight: u32,
    started: usize,
    /// The queue's share of all starts, and of all slot time.
    start_share: f64,
    slot_share: f64,
    median_wait_ms: u128,
    longest_wait_ms: u128,
    messages_per_receive: f64,
}

const WAYS: [(&str, Option<Order>); 4] = [
    ("weights", None),
    ("strict priority", Some(Order::Strict)),
    ("round robin", Some(Order::RoundRobin)),
    ("weights of starts", Some(Order::Starts)),
];

impl Report {
    pub(super) fn of(scenarios: &[Scenario], seed: u64) -> Result<Self> {
        let played = scenarios.iter().map(|scenario| Played::of(scenario, seed));
        Ok(Self { seed, scenarios: played.collect::<Result<_>>()? })
    }
}

impl Played {
    fn of(scenario: &Scenario, seed: u64) -> Result<Self> {
        let ways = WAYS.iter().map(|(name, order)| {
            let world = match order {
                Some(order) => polled::play(scenario, *order, seed),
                None => pooled::play(scenario, seed)?,
            };
            Ok(Way::of(name, scenario, &world))
        });
        Ok(Self {
            name: scenario.name,
            slots: scenario.slots,
            seconds: scenario.lasts.as_secs(),
            ways: ways.collect::<Result<_>>()?,
        })
    }
}

impl Way {
    fn of(name: &'static str, scenario: &Scenario, world: &World<()>) -> Self {
        let started: usize = world.queues.iter().map(|queue| queue.measured.started).sum();
        let queues = scenario.loads.iter().zip(&world.queues).map(|(load, queue)| {
            let measured = &queue.measured;
            let mut waits = measured.waits.clone();
            waits.sort_unstable();
            OfQueue {
                name: load.name,
                weight: load.rules.weight.get(),
                started: measured.started,
                start_share: ratio(measured.started, started),
                slot_share: measured.slot_time.as_secs_f64() / world.used.as_secs_f64(),
                median_wait_ms: waits.get(waits.len() / 2).map_or(0, Duration::as_millis),
                longest_wait_ms: waits.last().map_or(0, Duration::as_millis),
                messages_per_receive: ratio(measured.started, measured.receives),
            }
        });
        let slot_time = scenario.lasts.as_secs_f64() * ratio(scenario.slots, 1);
        Self {
            name,
            slots_used: world.used.as_secs_f64() / slot_time,
            most_hidden: world.most_hidden,
            queues: queues.collect(),
        }
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    let float = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    float(part) / float(whole.max(1))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for scenario in &self.scenarios {
            writeln!(f, "{}, {} slots, {} s:\n", scenario.name, scenario.slots, scenario.seconds)?;
            let mut table = table();
            table.set_header([
                "way",
                "queue",
                "weight",
                "jobs started",
                "share of starts",
                "of slot time",
                "median wait ms",
                "longest wait ms",
                "messages a receive",
                "slots used",
                "most hidden",
            ]);
            for way in &scenario.ways {
                for (index, queue) in way.queues.iter().enumerate() {
                    let first = |text: String| if index == 0 { text } else { String::new() };
                    table.add_row([
                        first(way.name.to_owned()),
                        queue.name.to_owned(),
                        queue.weight.to_string(),
                        queue.started.to_string(),
                        percent(queue.start_share),
                        percent(queue.slot_share),
                        queue.median_wait_ms.to_string(),
                        queue.longest_wait_ms.to_string(),
                        format!("{:.1}", queue.messages_per_receive),
                        first(percent(way.slots_used)),
                        first(way.most_hidden.to_string()),
                    ]);
                }
            }
            writeln!(f, "{}\n", right_align(table))?;
        }
        Ok(())
    }
}

fn percent(part: f64) -> String {
    format!("{:.1} %", 100.0 * part)
}
