//! The first letters of a replay, whose outcomes decide whether it continues.
//!
//! A done job shows that the cause no longer exists; a message that is dead again shows that it does. An unknown outcome shows
//! neither, and never counts as done.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use crate::letter_id::LetterId;

/// The first letters of a replay.
#[derive(Debug, Clone)]
pub struct Canary {
    size: usize,
    wait: Duration,
    outcomes: HashMap<LetterId, Option<Outcome>>,
    last_sent: Duration,
}

/// The outcome of a replayed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its job is done.
    Done,
    /// It is dead again, or no attempt can succeed.
    Dead,
}

/// The next step of a replay with a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Send more letters: the canary is not complete.
    Send,
    /// Wait for outcomes.
    Wait,
    /// Send the rest.
    Go,
    /// Ask the operator whether to send the rest.
    Ask,
    /// Stop.
    Stop,
}

/// The outcomes so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcomes {
    /// Jobs that are done.
    pub done: usize,
    /// Messages that are in the DLQ again.
    pub dead: usize,
    /// Messages with an unknown outcome.
    pub unknown: usize,
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { done, dead, unknown } = self;
        let all = done + dead + unknown;
        let s = if all == 1 { "" } else { "s" };
        let are = |count: usize| if count == 1 { "is" } else { "are" };
        write!(
            f,
            "of the first {all} letter{s} {done} {} done, {dead} {} dead again",
            are(*done),
            are(*dead)
        )?;
        if *unknown > 0 {
            write!(f, ", and of {unknown} no outcome is known")?;
        }
        Ok(())
    }
}

impl Canary {
    /// Makes a canary of `size` letters, which waits for their outcomes until `wait` after the last send.
    pub fn new(size: usize, wait: Duration) -> Self {
        Self { size, wait, outcomes: HashMap::new(), last_sent: Duration::ZERO }
    }

    /// Returns the number of letters to send first.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Records that a message was sent at this time.
    pub fn sent(&mut self, message: LetterId, now: Duration) {
        self.outcomes.entry(message).or_default();
        self.last_sent = self.last_sent.max(now);
    }

    /// Records the outcome of a message. A dead one stays dead, and the messages of others are not counted.
    pub fn outcome(&mut self, message: LetterId, outcome: Outcome) {
        if let Some(known) = self.outcomes.get_mut(&message)
            && *known != Some(Outcome::Dead)
        {
            *known = Some(outcome);
        }
    }

    /// Returns the messages with an unknown outcome.
    pub fn pending(&self) -> impl Iterator<Item = LetterId> {
        self.outcomes.iter().filter(|(_, outcome)| outcome.is_none()).map(|(message, _)| *message)
    }

    /// Returns the outcomes so far.
    pub fn outcomes(&self) -> Outcomes {
        let count = |wanted| self.outcomes.values().filter(|outcome| **outcome == wanted).count();
        Outcomes { done: count(Some(Outcome::Done)), dead: count(Some(Outcome::Dead)), unknown: count(None) }
    }

    /// Returns the next step. `can_ask` is true if there is an operator to ask.
    pub fn next(&self, now: Duration, can_ask: bool) -> Step {
        let Outcomes { dead, unknown, .. } = self.outcomes();
        if self.outcomes.len() < self.size {
            Step::Send
        } else if unknown > 0 && now < self.last_sent + self.wait {
            Step::Wait
        } else if can_ask {
            Step::Ask
        } else if dead + unknown == 0 {
            Step::Go
        } else {
            Step::Stop
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_mins(10);

    fn id(n: usize) -> LetterId {
        LetterId::of(&format!("n-{n}"))
    }

    fn canary(sent: usize, outcomes: &[Outcome]) -> Canary {
        let mut canary = Canary::new(3, WAIT);
        for n in 0..sent {
            canary.sent(id(n), Duration::from_secs(n as u64));
        }
        for (n, outcome) in outcomes.iter().enumerate() {
            canary.outcome(id(n), *outcome);
        }
        canary
    }

    #[test]
    fn only_known_good_outcomes_continue_the_replay() {
        use Outcome::{Dead, Done};
        let (soon, late) = (Duration::from_secs(5), WAIT + Duration::from_secs(2));
        let table = [
            (canary(0, &[]), soon, [Step::Send, Step::Send]),
            (canary(2, &[Done, Done]), late, [Step::Send, Step::Send]),
            (canary(3, &[]), soon, [Step::Wait, Step::Wait]),
            (canary(3, &[Done, Done]), soon, [Step::Wait, Step::Wait]),
            (canary(3, &[Done, Done]), late, [Step::Stop, Step::Ask]),
            (canary(3, &[Done, Done, Done]), soon, [Step::Go, Step::Ask]),
            (canary(3, &[Done, Dead, Done]), soon, [Step::Stop, Step::Ask]),
            (canary(3, &[Dead]), soon, [Step::Wait, Step::Wait]),
            (canary(3, &[Dead, Dead, Dead]), soon, [Step::Stop, Step::Ask]),
        ];
        for (canary, now, expected) in table {
            let steps = [canary.next(now, false), canary.next(now, true)];
            assert_eq!(steps, expected, "{} at {now:?}", canary.outcomes());
        }
    }

    #[test]
    fn outcomes_count_once_and_of_own_messages_only() {
        let mut canary = canary(3, &[Outcome::Dead]);
        canary.outcome(id(0), Outcome::Done);
        canary.outcome(id(7), Outcome::Done);
        canary.outcome(id(1), Outcome::Done);
        canary.outcome(id(1), Outcome::Dead);
        assert_eq!(canary.outcomes(), Outcomes { done: 0, dead: 2, unknown: 1 });
        assert_eq!(canary.pending().collect::<Vec<_>>(), [id(2)]);
        let text = canary.outcomes().to_string();
        assert_eq!(text, "of the first 3 letters 0 are done, 2 are dead again, and of 1 no outcome is known");
        let one = Outcomes { done: 1, dead: 0, unknown: 0 };
        assert_eq!(one.to_string(), "of the first 1 letter 1 is done, 0 are dead again");
    }
}
