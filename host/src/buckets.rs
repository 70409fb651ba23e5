//! The buckets of the histograms, which are the same in both hosts.

/// Upper bounds in seconds: from a quick handler to the longest default attempt.
pub const DURATION_BUCKETS: [f64; 14] =
    [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 180.0, 450.0, 900.0];

/// Upper bounds in seconds of the time since a message's sending: from at once to a backlog of hours.
/// Targets on dwell time can only be checked at a bound, so those that targets name are among them.
pub const SINCE_SENT_BUCKETS: [f64; 17] = [
    0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 14_400.0,
    86_400.0,
];
