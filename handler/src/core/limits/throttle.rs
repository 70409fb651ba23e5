//! A type whose handlers report that the service which they call requests a pause.
//!
//! It is closed at once: for the time that the service requests, or for growing pauses if the service requests no time.
//! Afterwards one job runs as a probe. The type opens once a probe is not throttled.

use std::time::{Duration, Instant};

use super::half_open::{HalfOpen, ProbeOf, Shows};
use crate::core::ending::Ending;
use crate::core::retry::{Jitter, MAX_VISIBILITY};

/// The first pause if the service requests no time: most services count requests by the second.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest of these pauses: a probe each minute disturbs no service, and the end of the problem is found soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The longest time that a service can request: no message stays hidden for longer.
const LONGEST_ASKED: Duration = MAX_VISIBILITY;

/// The state of one type. Open at first.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    half_open: HalfOpen,
    /// The last pause without a requested time, without jitter, since the type was open.
    pause: Option<Duration>,
}

impl Throttle {
    /// Takes the ending of a run: a throttle closes the type, and a probe that was not throttled opens it.
    pub(super) fn ended(&mut self, now: Instant, ending: &Ending, probe: Option<ProbeOf>, jitter: Jitter) {
        if let Ending::Throttled { after, reason } = ending {
            let pause = self.pause(*after, self.half_open.is_current(probe), jitter);
            return self.half_open.close(now, now + pause, reason);
        }
        // A failure of another kind also shows that the service does not throttle any more.
        if self.half_open.is_current(probe) && Shows::of(ending) != Shows::Nothing {
            self.pause = None;
            self.half_open.open();
        }
    }

    /// Returns the time for which a run closes the type. A requested delay of zero does not count, because the service would
    /// get request after request. Runs that started before the type closed met the same problem, so they do not make its pauses
    /// grow.
    fn pause(&mut self, asked: Option<Duration>, is_probe: bool, jitter: Jitter) -> Duration {
        if let Some(asked) = asked.filter(|asked| !asked.is_zero()) {
            return asked.min(LONGEST_ASKED);
        }
        let pause = match self.pause {
            Some(last) if is_probe => (last * 2).min(LONGEST_PAUSE),
            Some(last) => last,
            None => FIRST_PAUSE,
        };
        self.pause = Some(pause);
        pause + jitter.of(pause / 4)
    }

    /// The closings of the type.
    pub(super) fn half_open(&self) -> &HalfOpen {
        &self.half_open
    }
    pub(super) fn half_open_mut(&mut self) -> &mut HalfOpen {
        &mut self.half_open
    }
}

#[cfg(test)]
#[path = "throttle_tests.rs"]
mod tests;
