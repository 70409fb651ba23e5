//! The clock of a test: tokio's clock, which a test can pause.

/// The kind of tokio's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Stands still while any task runs, and jumps to the next timer when all tasks wait.
    Paused,
    /// The machine's clock.
    Real,
}

impl Clock {
    /// Returns the kind of the current clock. Only a clock that is not paused lies between two readings of the machine's clock.
    pub(crate) fn of_test() -> Self {
        let before = std::time::Instant::now();
        let now = tokio::time::Instant::now().into_std();
        let after = std::time::Instant::now();
        if (before..=after).contains(&now) { Self::Real } else { Self::Paused }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_machines_clock_is_real() {
        assert_eq!(Clock::of_test(), Clock::Real);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_stands_is_paused() {
        assert_eq!(Clock::of_test(), Clock::Paused);
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert_eq!(Clock::of_test(), Clock::Paused);
    }
}
