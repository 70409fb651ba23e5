//! The configuration of an event source mapping, with the checks that Lambda makes.

use std::time::Duration;

/// The maximum number of messages in a batch from a standard queue.
const MAX_BATCH: usize = 10_000;

/// The maximum number of messages in a batch from a FIFO queue, and in any batch without a window.
const MAX_BATCH_WITHOUT_WINDOW: usize = 10;

/// The longest window.
const MAX_WINDOW: Duration = Duration::from_secs(300);

/// The shortest window of a batch with more than ten messages.
const MIN_WINDOW_OF_LARGE: Duration = Duration::from_secs(1);

/// The visibility timeout that AWS recommends, as a multiple of the function's timeout.
pub const VISIBILITY_FACTOR: u32 = 6;

/// An event source mapping that Lambda would refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MappingProblem {
    /// The batch size is out of bounds.
    #[error("the batch size {0} must be from 1 to {most}", most = MAX_BATCH)]
    BatchSize(usize),
    /// The batch size is out of bounds for a FIFO queue.
    #[error("the batch size {0} must be from 1 to {most} for a FIFO queue", most = MAX_BATCH_WITHOUT_WINDOW)]
    FifoBatchSize(usize),
    /// A large batch has no window.
    #[error("a batch size above {MAX_BATCH_WITHOUT_WINDOW} needs a batch window of 1 s at least")]
    NoWindow,
    /// The window is out of bounds.
    #[error("the batch window must be whole seconds from 0 to {most} s", most = MAX_WINDOW.as_secs())]
    Window,
    /// A FIFO queue has a window.
    #[error("a FIFO queue has no batch window")]
    FifoWindow,
    /// The concurrency is 0.
    #[error("the concurrency must be 1 at least")]
    Concurrency,
}

/// An event source mapping as Lambda would accept it.
///
/// - `batch_size`: 1 to 10,000, for a FIFO queue 1 to 10;
/// - `window`: whole seconds up to 300, at least 1 for more than ten messages, none for a FIFO queue;
/// - `concurrency`: at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    pub(crate) batch_size: usize,
    pub(crate) window: Duration,
    pub(crate) concurrency: usize,
    pub(crate) reports: bool,
    pub(crate) fifo: bool,
}

impl Mapping {
    /// Returns a mapping for a standard or a FIFO queue, with `ReportBatchItemFailures` and one invocation at a time.
    pub fn new(batch_size: usize, window: Duration, fifo: bool) -> Result<Self, MappingProblem> {
        if fifo && !(1..=MAX_BATCH_WITHOUT_WINDOW).contains(&batch_size) {
            return Err(MappingProblem::FifoBatchSize(batch_size));
        }
        if !(1..=MAX_BATCH).contains(&batch_size) {
            return Err(MappingProblem::BatchSize(batch_size));
        }
        if fifo && !window.is_zero() {
            return Err(MappingProblem::FifoWindow);
        }
        if window > MAX_WINDOW || window.subsec_nanos() != 0 {
            return Err(MappingProblem::Window);
        }
        if batch_size > MAX_BATCH_WITHOUT_WINDOW && window < MIN_WINDOW_OF_LARGE {
            return Err(MappingProblem::NoWindow);
        }
        Ok(Self { batch_size, window, concurrency: 1, reports: true, fifo })
    }

    /// Sets the maximum number of concurrent invocations.
    pub fn concurrency(self, concurrency: usize) -> Result<Self, MappingProblem> {
        if concurrency == 0 { Err(MappingProblem::Concurrency) } else { Ok(Self { concurrency, ..self }) }
    }

    /// Switches `ReportBatchItemFailures` on or off. Without it, Lambda ignores the response.
    pub fn report_batch_item_failures(self, on: bool) -> Self {
        Self { reports: on, ..self }
    }

    /// Returns a warning if the queue's visibility timeout is shorter than AWS recommends for a function with this timeout: six
    /// times the timeout plus the window.
    pub fn visibility_warning(&self, function_timeout: Duration, visibility: Duration) -> Option<String> {
        let recommended = function_timeout * VISIBILITY_FACTOR + self.window;
        let [visibility_secs, recommended_secs] = [visibility, recommended].map(|time| time.as_secs());
        if visibility < function_timeout {
            Some(format!(
                "the visibility timeout of {visibility_secs} s is shorter than the function's timeout: Lambda would refuse this mapping, and \
                 messages are received again while the function works on them; {recommended_secs} s are recommended"
            ))
        } else if visibility < recommended {
            Some(format!(
                "the visibility timeout of {visibility_secs} s is shorter than AWS recommends, {recommended_secs} s: \
                 {VISIBILITY_FACTOR} times the function's timeout, and the batch window"
            ))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn mappings_are_checked_as_lambda_does() {
        let table = [
            (10, secs(0), false, None),
            (10, secs(300), false, None),
            (11, secs(1), false, None),
            (10_000, secs(1), false, None),
            (10, secs(0), true, None),
            (0, secs(0), false, Some(MappingProblem::BatchSize(0))),
            (10_001, secs(1), false, Some(MappingProblem::BatchSize(10_001))),
            (11, secs(0), false, Some(MappingProblem::NoWindow)),
            (1, secs(301), false, Some(MappingProblem::Window)),
            (1, Duration::from_millis(1500), false, Some(MappingProblem::Window)),
            (11, secs(1), true, Some(MappingProblem::FifoBatchSize(11))),
            (10, secs(1), true, Some(MappingProblem::FifoWindow)),
        ];
        for (batch_size, window, fifo, problem) in table {
            assert_eq!(
                Mapping::new(batch_size, window, fifo).err(),
                problem,
                "{batch_size} {window:?} {fifo}"
            );
        }
        assert_eq!(
            Mapping::new(1, secs(0), false).and_then(|it| it.concurrency(0)),
            Err(MappingProblem::Concurrency)
        );
    }

    #[test]
    fn a_short_visibility_timeout_is_a_warning() {
        let mapping = Mapping::new(20, secs(2), false).expect("it is a good one");
        assert_eq!(mapping.visibility_warning(secs(30), secs(182)), None);
        assert!(mapping.visibility_warning(secs(30), secs(181)).is_some_and(|text| text.contains("182 s")));
        assert!(mapping.visibility_warning(secs(30), secs(29)).is_some_and(|text| text.contains("refuse")));
    }
}
