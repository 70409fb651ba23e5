//! The price of requests to SQS, and what a job costs by it.

/// The dollars for a million requests to SQS.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SqsPrice(f64);

/// The price of requests to a standard queue in most regions, beyond the million a month that is free. See
/// [Amazon SQS pricing](https://aws.amazon.com/sqs/pricing/).
pub const DEFAULT_SQS_PRICE: SqsPrice = SqsPrice(0.40);

/// The highest price that is accepted: far above that of any region.
const HIGHEST: f64 = 1000.0;

/// The cost of the jobs that were done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JobCost {
    /// The requests for each message.
    pub requests_per_message: f64,
    /// The price of the requests for a million messages, in dollars.
    pub dollars_per_million: f64,
}

impl SqsPrice {
    /// A price in dollars for a million requests, from 0 to 1,000.
    pub fn new(dollars: f64) -> Option<Self> {
        (0.0..=HIGHEST).contains(&dollars).then_some(Self(dollars))
    }

    /// Returns the cost of `done` messages, for which `requests` were made. `None` if none is done.
    ///
    /// ```
    /// use drumline_runtime::DEFAULT_SQS_PRICE;
    ///
    /// // Two requests for ten messages: a receive and a delete.
    /// let cost = DEFAULT_SQS_PRICE.cost(20, 100).expect("jobs were done");
    /// assert!((cost.requests_per_message - 0.2).abs() < 1e-9);
    /// assert!((cost.dollars_per_million - 0.08).abs() < 1e-9);
    /// ```
    #[allow(clippy::cast_precision_loss, reason = "counts are exact up to 2^53")]
    pub fn cost(self, requests: u64, done: u64) -> Option<JobCost> {
        let requests_per_message = (done > 0).then(|| requests as f64 / done as f64)?;
        // A million requests have the price; so have the requests of a million messages, that many times.
        Some(JobCost { requests_per_message, dollars_per_million: requests_per_message * self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sensible_price_is_accepted() {
        for (dollars, expected) in
            [(0.0, true), (0.5, true), (1000.0, true), (-0.1, false), (1000.5, false), (f64::NAN, false)]
        {
            assert_eq!(SqsPrice::new(dollars).is_some(), expected, "{dollars}");
        }
        assert_eq!(DEFAULT_SQS_PRICE.cost(7, 0), None, "no job is done");
    }
}
