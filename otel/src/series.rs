//! The values of a registry's metrics.

/// A metric with one set of labels.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricSeries {
    /// Its name, such as `drumline_jobs_total`.
    pub name: String,
    /// Its labels with their values.
    pub labels: Vec<(String, String)>,
    /// Its value since the start of the process.
    pub value: MetricValue,
}

/// A value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub enum MetricValue {
    /// A number that only grows.
    Counter(f64),
    /// A number at present.
    Gauge(f64),
    /// Observations.
    Histogram {
        /// Their sum.
        sum: f64,
        /// The upper bounds of the buckets in order, the last of which is infinite, with the number of observations in each.
        buckets: Vec<(f64, u64)>,
    },
}
