//! The measurements of functions, as a table and as data.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use super::event::BATCH;
use super::function::Kind;
use crate::figures::{Spread, percentile, sorted};
use crate::machine::Machine;
use crate::tables::{right_align, table};

/// One life of a function.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Round {
    /// The time from the start of the process to its first `/next`.
    pub(super) init_ms: f64,
    pub(super) cpu_us_per_batch: Option<f64>,
    #[serde(skip)]
    pub(super) latencies_us: Vec<f64>,
    pub(super) peak_memory_mib: f64,
}

/// All measurements.
#[derive(Debug)]
pub(super) struct Report {
    machine: Machine,
    batches: usize,
    rounds: BTreeMap<Kind, Vec<Round>>,
}

/// A figure: its name, its digits, and the function that reads it from a round.
type Figure = (&'static str, usize, fn(&Round) -> Option<f64>);

const FIGURES: [Figure; 5] = [
    ("start to first /next, ms", 2, |round| Some(round.init_ms)),
    ("CPU µs per batch", 1, |round| round.cpu_us_per_batch),
    ("batch p50, µs", 0, |round| of_latencies(round, 50)),
    ("batch p99, µs", 0, |round| of_latencies(round, 99)),
    ("peak memory, MiB", 1, |round| Some(round.peak_memory_mib)),
];

fn of_latencies(round: &Round, percent: usize) -> Option<f64> {
    let sorted = sorted(round.latencies_us.iter().copied());
    (!sorted.is_empty()).then(|| percentile(&sorted, percent))
}

#[derive(Serialize)]
struct Summary {
    figure: &'static str,
    function: Kind,
    #[serde(flatten)]
    spread: Spread,
    /// The median of the rounds' ratios to the minimal function.
    ratio: f64,
}

impl Report {
    pub(super) fn new(machine: Machine, batches: usize) -> Self {
        Self { machine, batches, rounds: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, kind: Kind, round: Round) {
        self.rounds.entry(kind).or_default().push(round);
    }

    fn summary(&self, (figure, _, of): Figure, function: Kind) -> Option<Summary> {
        let values = |kind| self.rounds.get(&kind).into_iter().flatten().filter_map(of);
        let own: Vec<f64> = values(function).collect();
        let ratios: Vec<f64> =
            values(function).zip(values(Kind::Minimal)).map(|(own, least)| own / least).collect();
        if ratios.is_empty() {
            return None;
        }
        Some(Summary { figure, function, spread: Spread::of(own), ratio: Spread::of(ratios).median })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounds = self.rounds.values().map(Vec::len).max().unwrap_or_default();
        writeln!(f, "{}, {rounds} rounds of {} batches of {}\n", self.machine, self.batches, BATCH)?;
        let mut table = table();
        let mut head = vec!["median (least to most), ratio".to_owned()];
        head.extend(Kind::ALL.map(|kind| kind.label().to_owned()));
        table.set_header(head);
        let mut sizes = vec!["binary, MiB".to_owned()];
        sizes.extend(
            Kind::ALL
                .map(|kind| kind.size_mib().map_or_else(|_| "-".to_owned(), |size| format!("{size:.1}"))),
        );
        table.add_row(sizes);
        for figure in FIGURES {
            let (name, digits, _) = figure;
            let mut row = vec![name.to_owned()];
            row.extend(Kind::ALL.map(|kind| match self.summary(figure, kind) {
                Some(Summary { spread: Spread { median, min, max }, ratio, .. }) => {
                    format!("{median:.digits$} ({min:.digits$} to {max:.digits$}), {ratio:.2}")
                }
                None => "-".to_owned(),
            }));
            table.add_row(row);
        }
        writeln!(f, "{}", right_align(table))
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Whole<'a> {
            machine: &'a Machine,
            batches: usize,
            summary: Vec<Summary>,
            rounds: &'a BTreeMap<Kind, Vec<Round>>,
        }
        let of_figure = |figure: Figure| Kind::ALL.map(|kind| self.summary(figure, kind));
        let summary = FIGURES.into_iter().flat_map(of_figure).flatten().collect();
        Whole { machine: &self.machine, batches: self.batches, summary, rounds: &self.rounds }
            .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_to_the_minimal_function_are_per_round() {
        let mut report = Report::new(Machine::this().expect("a machine"), 1);
        for (least, own) in [(10.0, 12.0), (20.0, 20.0), (30.0, 39.0)] {
            for (kind, init_ms) in [(Kind::Minimal, least), (Kind::Noop, own)] {
                report.add(kind, Round { init_ms, ..Round::default() });
            }
        }
        let summary = report.summary(FIGURES[0], Kind::Noop).expect("was measured");
        assert!((summary.ratio - 1.2).abs() < 1e-9);
        assert!(report.summary(FIGURES[1], Kind::Noop).is_none(), "no batch was measured");
        let text = report.to_string();
        assert!(text.contains("20.00 (12.00 to 39.00), 1.20"), "{text}");
    }
}
