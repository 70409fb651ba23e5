//! The report: one row for each figure, with the ideal, the actual value, and the goal.

use std::fmt;

use serde::Serialize;

use crate::machine::Machine;
use crate::tables::table;

/// The bound that a figure should respect.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

/// One figure.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    case: &'static str,
    /// The circumstances, such as `Redis, 45 s`.
    variant: String,
    /// The counted thing with its unit.
    figure: &'static str,
    ideal: f64,
    /// `None` if the limit of the measurement came first.
    actual: Option<f64>,
    goal: Option<Goal>,
    met: Option<bool>,
    note: String,
}

impl Row {
    pub(super) fn new(
        variant: impl Into<String>,
        figure: &'static str,
        ideal: f64,
        actual: Option<f64>,
    ) -> Self {
        let (variant, note) = (variant.into(), String::new());
        Self { case: "", variant, figure, ideal, actual, goal: None, met: None, note }
    }

    /// Creates a row that counts events that should never happen.
    pub(super) fn none_of(variant: impl Into<String>, figure: &'static str, count: usize) -> Self {
        Self::new(variant, figure, 0.0, Some(as_f64(count))).goal(Goal::AtMost(0.0))
    }

    /// Returns the row with a goal.
    pub(super) fn goal(mut self, goal: Goal) -> Self {
        self.met = Some(self.actual.is_some_and(|actual| match goal {
            Goal::AtMost(most) => actual <= most,
            Goal::AtLeast(least) => actual >= least,
        }));
        self.goal = Some(goal);
        self
    }

    /// Returns the row with an explanation.
    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn cells(&self) -> [String; 8] {
        [
            self.case.to_owned(),
            self.variant.clone(),
            self.figure.to_owned(),
            number(self.ideal),
            self.actual.map_or_else(|| "never".to_owned(), number),
            self.goal.map_or_else(String::new, |goal| goal.to_string()),
            self.met.map_or("", |met| if met { "met" } else { "MISSED" }).to_owned(),
            self.note.clone(),
        ]
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "<= {}", number(*most)),
            Self::AtLeast(least) => write!(f, ">= {}", number(*least)),
        }
    }
}

/// Formats a whole number without decimals, any other with two.
fn number(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// Converts a count to a figure.
#[allow(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub(super) fn as_f64(count: usize) -> f64 {
    count as f64
}

/// Converts milliseconds to seconds.
pub(super) fn secs(millis: u64) -> f64 {
    std::time::Duration::from_millis(millis).as_secs_f64()
}

/// A case that could not be measured.
#[derive(Debug, Serialize)]
struct Failure {
    case: &'static str,
    error: String,
}

/// All rows.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    machine: Machine,
    build: &'static str,
    rows: Vec<Row>,
    failures: Vec<Failure>,
}

impl Report {
    pub(super) fn new(machine: Machine, dev: bool) -> Self {
        let build = if dev { "dev" } else { "release" };
        Self { machine, build, rows: Vec::new(), failures: Vec::new() }
    }

    pub(super) fn add(&mut self, case: &'static str, rows: Vec<Row>) {
        self.rows.extend(rows.into_iter().map(|row| Row { case, ..row }));
    }

    pub(super) fn add_failure(&mut self, case: &'static str, error: &anyhow::Error) {
        self.failures.push(Failure { case, error: format!("{error:#}") });
    }

    pub(super) fn has_failures(&self) -> bool {
        !self.failures.is_empty()
    }

    pub(super) fn misses(&self) -> usize {
        self.rows.iter().filter(|row| row.met == Some(false)).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {} build\n", self.machine, self.build)?;
        let mut table = table();
        table.set_header(["case", "variant", "figure", "ideal", "actual", "goal", "verdict", "note"]);
        for row in &self.rows {
            table.add_row(row.cells());
        }
        writeln!(f, "{table}\n")?;
        for Failure { case, error } in &self.failures {
            writeln!(f, "{case}: not measured: {error}")?;
        }
        let goals = self.rows.iter().filter(|row| row.goal.is_some()).count();
        write!(f, "{} of {goals} goals met", goals - self.misses())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_figure_is_held_against_its_goal() {
        let row = |actual| Row::new("v", "f", 1.0, actual).goal(Goal::AtMost(2.0));
        assert_eq!(row(Some(2.0)).met, Some(true));
        assert_eq!(row(Some(2.1)).met, Some(false));
        assert_eq!(row(None).met, Some(false), "never is no success");
        assert_eq!(Row::new("v", "f", 100.0, Some(30.0)).goal(Goal::AtLeast(30.0)).met, Some(true));
        assert_eq!(Row::none_of("v", "f", 1).met, Some(false));
    }

    #[test]
    fn the_report_counts_goals_and_names_failures() {
        let mut report = Report::new(Machine::this().unwrap(), true);
        report.add("lock", vec![Row::none_of("v", "dead", 0), Row::none_of("w", "dead", 3)]);
        report.add("free", vec![Row::new("v", "f", 1.5, None)]);
        report.add_failure("store", &anyhow::anyhow!("no Redis"));
        let text = report.to_string();
        assert!(text.contains("1 of 2 goals met"), "{text}");
        assert!(text.contains("store: not measured: no Redis"), "{text}");
        assert!(text.contains("never") && text.contains("MISSED"), "{text}");
        assert!(report.has_failures());
        assert_eq!(report.misses(), 1);
    }
}
