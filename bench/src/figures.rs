//! The figures of a run, and their statistics over several runs.

use serde::Serialize;

/// The cost of one worker's run over the queue.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Figures {
    /// Processor time, user and system, in milliseconds.
    pub(super) cpu_ms_per_1000: f64,
    pub(super) messages_per_s: f64,
    /// The requests of all actions since the worker's start.
    pub(super) requests_per_message: f64,
    pub(super) receives_per_message: f64,
    pub(super) deletes_per_message: f64,
    pub(super) peak_memory_mib: f64,
}

/// One of the figures.
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) digits: usize,
    /// True if the report also contains its ratio to the bare loop's figure.
    pub(super) is_compared: bool,
    pub(super) of: fn(&Figures) -> f64,
}

pub(super) const ALL: [Figure; 6] = [
    Figure { name: "CPU ms per 1,000 messages", digits: 2, is_compared: true, of: |f| f.cpu_ms_per_1000 },
    Figure { name: "messages per second", digits: 0, is_compared: true, of: |f| f.messages_per_s },
    Figure { name: "requests per message", digits: 3, is_compared: true, of: |f| f.requests_per_message },
    Figure { name: "ReceiveMessage", digits: 3, is_compared: false, of: |f| f.receives_per_message },
    Figure { name: "DeleteMessageBatch", digits: 3, is_compared: false, of: |f| f.deletes_per_message },
    Figure { name: "peak memory, MiB", digits: 1, is_compared: true, of: |f| f.peak_memory_mib },
];

/// Several values of one figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    /// # Panics
    ///
    /// Panics without a value.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let sorted = sorted(values);
        let (min, max) = (sorted[0], sorted[sorted.len() - 1]);
        Self { median: percentile(&sorted, 50), min, max }
    }
}

pub(super) fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Returns the nearest rank; for the median of an even number of values, the mean of two.
///
/// # Panics
///
/// Panics without a value.
pub(super) fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let (count, rank) = (sorted.len(), (sorted.len() * percent).div_ceil(100).max(1));
    if percent == 50 && count.is_multiple_of(2) {
        return f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]);
    }
    sorted[rank - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_cmp, reason = "no value is computed")]
    fn medians_and_percentiles() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(Spread::of([7.0]), Spread { median: 7.0, min: 7.0, max: 7.0 });
        let hundred = sorted((1..=100).map(f64::from));
        assert_eq!((percentile(&hundred, 99), percentile(&hundred, 100)), (99.0, 100.0));
        assert_eq!(percentile(&hundred[..10], 99), 10.0);
    }
}
