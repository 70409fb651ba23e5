//! The rates at which spending a target's error budget raises an alert.
//!
//! The windows and their shares of the budget are those of [the SRE workbook](https://sre.google/workbook/alerting-on-slos/),
//! chapter "Multiwindow, Multi-Burn-Rate Alerts". The short window ends an alert soon after its cause.

use std::time::Duration;

/// A time window in the notation of rules, and its length in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Window {
    pub(super) text: &'static str,
    pub(super) seconds: u32,
}

const fn window(text: &'static str, seconds: u32) -> Window {
    Window { text, seconds }
}

/// The urgency of an alert: its label `severity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    Page,
    Ticket,
}

impl Severity {
    pub(super) const ALL: [Self; 2] = [Self::Page, Self::Ticket];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
        }
    }
}

/// A burn rate that raises an alert if both windows exceed it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Burn {
    pub(super) long: Window,
    pub(super) short: Window,
    pub(super) severity: Severity,
    /// The burn rate as a multiple of the rate that spends the budget evenly over the period.
    pub(super) factor: f64,
    /// The share of jobs that miss the target at this rate.
    pub(super) limit: f64,
}

/// The long and the short window, the share of the budget that is spent in the long window, and the urgency.
const WINDOWS: [(Window, Window, f64, Severity); 4] = [
    (window("1h", 3600), window("5m", 300), 0.02, Severity::Page),
    (window("6h", 21_600), window("30m", 1800), 0.05, Severity::Page),
    (window("1d", 86_400), window("2h", 7200), 0.1, Severity::Ticket),
    (window("3d", 259_200), window("6h", 21_600), 0.1, Severity::Ticket),
];

/// Returns the burn rates for a budget over a period. Rates below 1 never spend the budget and are left out.
pub(super) fn rates(budget: f64, over: Duration) -> Vec<Burn> {
    let rate = |(long, short, share, severity): (Window, Window, f64, Severity)| {
        let factor = share * over.as_secs_f64() / f64::from(long.seconds);
        Burn { long, short, severity, factor, limit: factor * budget }
    };
    // Sums of decimal fractions differ slightly from 1.
    WINDOWS.into_iter().map(rate).filter(|burn| burn.factor > 0.999).collect()
}

/// Formats a number with up to nine decimals, without trailing zeros.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.9}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
