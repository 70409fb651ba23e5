//! Makes the lines of one round from the values since the start of the process.

use std::collections::HashMap;

use drumline_runtime::EmfLines;

use crate::metrics::distribution::Distribution;
use crate::metrics::series::{Key, SeriesValue, read};

/// The counters and histograms of the last round. Limited like the labels of the registry.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    counters: HashMap<Key, f64>,
    histograms: HashMap<Key, Distribution>,
}

impl Rounds {
    /// Returns the lines of a round from the text of `/metrics`: counters and histograms that have grown since the last round, and all
    /// gauges.
    pub(super) fn next(&mut self, text: &str) -> EmfLines {
        let mut lines = EmfLines::default();
        for (key, value) in read(text) {
            let values = match value {
                SeriesValue::Gauge(now) => vec![(now, 1)],
                SeriesValue::Counter(now) => {
                    let before = self.counters.insert(key.clone(), now).unwrap_or_default();
                    if now > before { vec![(now - before, 1)] } else { Vec::new() }
                }
                SeriesValue::Histogram(now) => {
                    let before = self.histograms.insert(key.clone(), now.clone());
                    before.map_or_else(|| now.clone(), |before| now.since(&before)).values()
                }
            };
            lines.add(&key.name, key.labels.iter().map(|(label, value)| (&**label, &**value)), &values);
        }
        lines
    }
}
