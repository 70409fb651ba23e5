//! The measurements, as a table and as data.

use std::collections::BTreeMap;
use std::fmt;

use comfy_table::Table;
use serde::{Serialize, Serializer};

use crate::figures::{self, Figure, Figures, Spread};
use crate::idle::Idle;
use crate::in_hand::InHand;
use crate::latency::Latency;
use crate::machine::Machine;
use crate::start_up::StartUp;
use crate::tables::{right_align, table};
use crate::worker::Kind;

/// All measurements.
#[derive(Debug)]
pub(super) struct Report {
    machine: Machine,
    messages: usize,
    /// The delay of each request.
    delay_ms: u64,
    pub(super) rounds: Vec<BTreeMap<Kind, Figures>>,
    pub(super) latency: Vec<Latency>,
    pub(super) start_up: Vec<StartUp>,
    pub(super) idle: Option<Idle>,
    pub(super) in_hand: Option<InHand>,
}

/// One figure of one worker over all rounds.
#[derive(Serialize)]
struct Summary {
    figure: &'static str,
    worker: Kind,
    #[serde(flatten)]
    spread: Spread,
    /// The ratios to the bare loop: of the medians, and the median of the rounds' ratios, which a noisy machine affects less.
    ratio_of_medians: f64,
    median_of_ratios: f64,
}

impl Report {
    pub(super) fn new(machine: Machine, messages: usize, delay_ms: u64) -> Self {
        Self {
            machine,
            messages,
            delay_ms,
            rounds: Vec::new(),
            latency: Vec::new(),
            start_up: Vec::new(),
            idle: None,
            in_hand: None,
        }
    }

    fn summary(&self, figure: &Figure, worker: Kind) -> Summary {
        let spread = |worker| Spread::of(self.rounds.iter().map(|round| (figure.of)(&round[&worker])));
        let (own, bare) = (spread(worker), spread(Kind::BareLoop));
        let ratios = self.rounds.iter().map(|r| (figure.of)(&r[&worker]) / (figure.of)(&r[&Kind::BareLoop]));
        Summary {
            figure: figure.name,
            worker,
            spread: own,
            ratio_of_medians: own.median / bare.median,
            median_of_ratios: Spread::of(ratios).median,
        }
    }

    fn summaries(&self) -> Vec<Summary> {
        let of_figure = |figure| Kind::ALL.map(|worker| self.summary(figure, worker));
        figures::ALL.iter().flat_map(of_figure).collect()
    }

    /// Returns a table with one line per contender.
    fn table(&self) -> Table {
        let mut table = table();
        let mut head = vec!["median (least to most)".to_owned()];
        for figure in &figures::ALL {
            head.push(figure.name.to_owned());
            if figure.is_compared {
                head.push("ratio (pairwise)".to_owned());
            }
        }
        table.set_header(head);
        for kind in Kind::ALL {
            let mut row = vec![kind.label().to_owned()];
            for figure in &figures::ALL {
                let Summary {
                    spread: Spread { median, min, max }, ratio_of_medians, median_of_ratios, ..
                } = self.summary(figure, kind);
                let digits = figure.digits;
                row.push(format!("{median:.digits$} ({min:.digits$} to {max:.digits$})"));
                if figure.is_compared {
                    row.push(ratio(ratio_of_medians, median_of_ratios));
                }
            }
            table.add_row(row);
        }
        right_align(table)
    }

    fn latency_table(&self) -> Table {
        let mut table = table();
        table.set_header([
            "pick-up at 20 messages/s, accepted to deleted",
            "p50 µs",
            "ratio",
            "p99 µs",
            "ratio",
        ]);
        let Some(bare) = self.latency.iter().find(|latency| latency.worker == Kind::BareLoop) else {
            return table;
        };
        for Latency { worker, p50_us, p99_us } in &self.latency {
            table.add_row([
                worker.label().to_owned(),
                format!("{p50_us:.0}"),
                format!("{:.2}", p50_us / bare.p50_us),
                format!("{p99_us:.0}"),
                format!("{:.2}", p99_us / bare.p99_us),
            ]);
        }
        right_align(table)
    }

    fn start_up_table(&self) -> Table {
        let mut table = table();
        table.set_header(["start to first receive", "ms, median (least to most)", "ratio"]);
        let Some(bare) = self.start_up.iter().find(|start_up| start_up.worker == Kind::BareLoop) else {
            return table;
        };
        for StartUp { worker, spread: Spread { median, min, max } } in &self.start_up {
            table.add_row([
                worker.label().to_owned(),
                format!("{median:.1} ({min:.1} to {max:.1})"),
                format!("{:.2}", median / bare.spread.median),
            ]);
        }
        right_align(table)
    }
}

/// Formats a ratio of medians, and the median of the rounds' ratios.
fn ratio(of_medians: f64, pairwise: f64) -> String {
    format!("{of_medians:.2} ({pairwise:.2})")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (machine, rounds, messages) = (&self.machine, self.rounds.len(), self.messages);
        write!(f, "{machine}, {rounds} rounds of {messages} messages of 300 bytes")?;
        if self.delay_ms > 0 {
            write!(f, ", {} ms added to each request", self.delay_ms)?;
        }
        writeln!(f, "\n")?;
        writeln!(f, "{}", self.table())?;
        if !self.latency.is_empty() {
            writeln!(f, "\n{}", self.latency_table())?;
        }
        if !self.start_up.is_empty() {
            writeln!(f, "\n{}", self.start_up_table())?;
        }
        if let Some(Idle { secs, cpu_ms, percent_of_a_core, memory_mib, requests }) = &self.idle {
            let requests: Vec<String> =
                requests.iter().map(|(action, count)| format!("{action} {count}")).collect();
            writeln!(
                f,
                "\nIdle for {secs} s (drumline): {cpu_ms:.1} ms CPU, {percent_of_a_core:.3} % of a core, \
                 {memory_mib:.1} MiB resident, {}",
                requests.join(", ")
            )?;
        }
        if let Some(in_hand) = &self.in_hand {
            writeln!(f, "\n{in_hand}")?;
        }
        Ok(())
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Whole<'a> {
            machine: &'a Machine,
            messages: usize,
            delay_ms: u64,
            summary: Vec<Summary>,
            rounds: &'a [BTreeMap<Kind, Figures>],
            latency: &'a [Latency],
            start_up: &'a [StartUp],
            idle: Option<&'a Idle>,
            in_hand: Option<&'a InHand>,
        }
        let whole = Whole {
            machine: &self.machine,
            messages: self.messages,
            delay_ms: self.delay_ms,
            summary: self.summaries(),
            rounds: &self.rounds,
            latency: &self.latency,
            start_up: &self.start_up,
            idle: self.idle.as_ref(),
            in_hand: self.in_hand.as_ref(),
        };
        whole.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(cpu_ms_per_1000: f64) -> Figures {
        Figures {
            cpu_ms_per_1000,
            messages_per_s: 1.0,
            requests_per_message: 0.2,
            receives_per_message: 0.1,
            deletes_per_message: 0.1,
            peak_memory_mib: 8.0,
        }
    }

    fn report() -> Report {
        let mut report = Report::new(Machine { cores: 2, processor: None }, 10, 0);
        for (bare, full) in [(10.0, 12.0), (20.0, 20.0), (30.0, 33.0)] {
            let cpu = |kind| if kind == Kind::BareLoop { bare } else { full };
            report.rounds.push(Kind::ALL.map(|kind| (kind, figures(cpu(kind)))).into());
        }
        report
    }

    #[test]
    fn ratios_to_the_bare_loop_are_overall_and_per_round() {
        let summary = report().summary(&figures::ALL[0], Kind::Drumline100);
        assert!((summary.ratio_of_medians - 1.0).abs() < 1e-9);
        assert!((summary.median_of_ratios - 1.1).abs() < 1e-9);
    }

    #[test]
    fn the_report_is_readable_by_people_and_programs() {
        let report = report();
        let text = report.to_string();
        let cpu = "20.00 (12.00 to 33.00) |      1.00 (1.10)";
        assert_eq!(text.matches(cpu).count(), Kind::ALL.len() - 1, "{text}");
        assert!(!text.contains("Idle"), "{text}");
        let json = serde_json::to_value(&report).expect("plain data");
        assert_eq!(json["summary"][1]["worker"], "drumline100");
        assert_eq!(json["summary"][3]["worker"], "drumline100-sdk");
        assert_eq!(json["rounds"][2]["bare-loop"]["cpu_ms_per_1000"], 30.0);
    }
}
