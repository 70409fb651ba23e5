//! The report: compares each way with the plain SDK, and waits with the linger.

use std::collections::BTreeMap;
use std::fmt;

use comfy_table::Table;
use serde::Serialize;

use super::load::{Measured, Way};
use crate::figures::{Spread, percentile, sorted};
use crate::machine::Machine;
use crate::tables::{right_align, table};

/// The goal: entries of a request at a steady load of 1,000 messages a second.
const ENTRIES: f64 = 9.5;

/// The goal: the p99 of the added wait beyond the linger.
const BEYOND_LINGER_MS: f64 = 1.0;

/// All measurements.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    machine: Machine,
    is_development_build: bool,
    messages: u64,
    rate: u32,
    callers: u64,
    pub(super) rounds: Vec<BTreeMap<Way, Measured>>,
    pub(super) steady: Vec<Steady>,
}

/// A steady load.
#[derive(Debug, Serialize)]
pub(super) struct Steady {
    way: Way,
    linger_ms: Option<u64>,
    entries_per_request: f64,
    wait_p50_ms: f64,
    wait_p99_ms: f64,
    receipt_p50_ms: f64,
    receipt_p99_ms: f64,
    cpu_ms_per_1000: f64,
}

impl Steady {
    pub(super) fn of(way: Way, linger_ms: Option<u64>, measured: &Measured) -> Self {
        let (waits, totals) =
            (sorted(measured.waits_ms.iter().copied()), sorted(measured.totals_ms.iter().copied()));
        Self {
            way,
            linger_ms,
            entries_per_request: 1.0 / measured.requests_per_message,
            wait_p50_ms: percentile(&waits, 50),
            wait_p99_ms: percentile(&waits, 99),
            receipt_p50_ms: percentile(&totals, 50),
            receipt_p99_ms: percentile(&totals, 99),
            cpu_ms_per_1000: measured.cpu_ms_per_1000,
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "some milliseconds")]
    fn verdict(&self) -> &'static str {
        let Some(linger_ms) = self.linger_ms else { return "-" };
        let waits = self.wait_p99_ms <= linger_ms as f64 + BEYOND_LINGER_MS;
        match (self.entries_per_request >= ENTRIES, waits) {
            (true, true) => "both",
            (true, false) => "entries",
            (false, true) => "wait",
            (false, false) => "none",
        }
    }
}

/// One of the figures of a round.
struct Figure {
    name: &'static str,
    digits: usize,
    of: fn(&Measured) -> f64,
}

const FIGURES: [Figure; 3] = [
    Figure { name: "CPU ms per 1,000 messages", digits: 1, of: |m| m.cpu_ms_per_1000 },
    Figure { name: "messages per second", digits: 0, of: |m| m.messages_per_s },
    Figure { name: "requests per message", digits: 3, of: |m| m.requests_per_message },
];

impl Report {
    pub(super) fn new(
        machine: Machine,
        is_development_build: bool,
        messages: u64,
        rate: u32,
        callers: u64,
    ) -> Self {
        Self {
            machine,
            is_development_build,
            messages,
            rate,
            callers,
            rounds: Vec::new(),
            steady: Vec::new(),
        }
    }

    fn ways(&self) -> Table {
        let mut table = table();
        let heads = Way::ALL.map(|way| way.label().to_owned());
        table.set_header([vec!["median (least to most), ratio".to_owned()], heads.to_vec()].concat());
        for Figure { name, digits, of } in FIGURES {
            let cell = |way| {
                let Spread { median, min, max } =
                    Spread::of(self.rounds.iter().map(|round| of(&round[&way])));
                let ratios = self.rounds.iter().map(|round| of(&round[&way]) / of(&round[&Way::OneByOne]));
                let ratio = Spread::of(ratios).median;
                format!("{median:.digits$} ({min:.digits$} to {max:.digits$}), {ratio:.2}")
            };
            table.add_row([vec![name.to_owned()], Way::ALL.map(cell).to_vec()].concat());
        }
        right_align(table)
    }

    fn waits(&self) -> Table {
        let mut table = table();
        table.set_header([
            "steady load",
            "linger, ms",
            "entries per request",
            "added wait p50, ms",
            "p99, ms",
            "call to receipt p50, ms",
            "p99, ms",
            "CPU ms per 1,000",
            "goals met",
        ]);
        for steady in &self.steady {
            let two = |value: f64| format!("{value:.2}");
            table.add_row([
                steady.way.label().to_owned(),
                steady.linger_ms.map_or_else(|| "-".to_owned(), |ms| ms.to_string()),
                two(steady.entries_per_request),
                two(steady.wait_p50_ms),
                two(steady.wait_p99_ms),
                two(steady.receipt_p50_ms),
                two(steady.receipt_p99_ms),
                format!("{:.1}", steady.cpu_ms_per_1000),
                steady.verdict().to_owned(),
            ]);
        }
        right_align(table)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machine, messages, rate, callers, rounds, .. } = self;
        let build = if self.is_development_build { ", development build" } else { "" };
        writeln!(
            f,
            "{machine}{build}, {} rounds of {messages} messages of 300 bytes, {callers} callers\n",
            rounds.len()
        )?;
        writeln!(f, "{}\n", self.ways())?;
        writeln!(
            f,
            "At {rate} messages/s from {callers} callers, at random times whether earlier ones are confirmed or not:\n"
        )?;
        writeln!(f, "{}", self.waits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(cpu_ms_per_1000: f64, waits_ms: Vec<f64>) -> Measured {
        let totals_ms = waits_ms.clone();
        Measured { cpu_ms_per_1000, messages_per_s: 1e3, requests_per_message: 0.1, waits_ms, totals_ms }
    }

    #[test]
    fn ratios_are_to_the_plain_sdk_and_goals_are_checked() {
        let mut report = Report::new(Machine { cores: 2, processor: None }, false, 10, 1000, 64);
        report.rounds.push(
            Way::ALL.map(|way| (way, measured(if way == Way::Sender { 5.0 } else { 20.0 }, vec![]))).into(),
        );
        let within = vec![10.9; 100];
        report.steady.push(Steady::of(Way::Sender, Some(10), &measured(1.0, within)));
        report.steady.push(Steady::of(Way::Sender, Some(5), &measured(1.0, vec![6.1; 100])));
        let text = report.to_string();
        assert!(text.contains("5.0 (5.0 to 5.0), 0.25"), "{text}");
        let verdicts: Vec<&str> = report.steady.iter().map(Steady::verdict).collect();
        assert_eq!(verdicts, ["both", "entries"], "{text}");
    }
}
