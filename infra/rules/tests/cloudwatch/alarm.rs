//! Evaluates the state of an alarm from the data points of its evaluation range, as
//! [the guide](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html) describes it.

/// An alarm's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Ok,
    Alarm,
    InsufficientData,
}

/// `TreatMissingData`, as far as the templates and target tracking use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MissingData {
    Missing,
    NotBreaching,
    Ignore,
}

/// M of N.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Evaluation {
    pub(crate) periods: usize,
    pub(crate) to_alarm: usize,
    pub(crate) missing: MissingData,
}

impl Evaluation {
    /// Evaluates the points of the range, oldest first: true is breaching, `None` is missing.
    pub(crate) fn state(&self, range: &[Option<bool>], before: State) -> State {
        let is_alarm = |breaches: bool| if breaches { State::Alarm } else { State::Ok };
        let real: Vec<bool> = range.iter().rev().copied().flatten().take(self.periods).collect();
        let breaching = real.iter().filter(|breaches| **breaches).count();
        if real.len() == self.periods || self.missing == MissingData::NotBreaching {
            return is_alarm(breaching >= self.to_alarm);
        }
        if real.is_empty() {
            return if self.missing == MissingData::Ignore { before } else { State::InsufficientData };
        }
        if breaching < real.len() || breaching >= self.to_alarm {
            return is_alarm(breaching >= self.to_alarm);
        }
        if self.missing == MissingData::Ignore {
            return before;
        }
        // Fewer points than needed, all of them breaching: the alarm fires when the oldest of them is M periods old.
        let age = range.iter().rev().rposition(|point| *point == Some(true)).map_or(0, |at| at + 1);
        if age >= self.to_alarm { State::Alarm } else { before }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(range: &str, to_alarm: usize, missing: MissingData) -> State {
        let points = range.chars().map(|c| (c != '-').then_some(c == 'X')).collect::<Vec<_>>();
        Evaluation { periods: 3, to_alarm, missing }.state(&points, State::Ok)
    }

    /// The column IGNORE of the guide's tables, for an alarm that is firing.
    #[test]
    fn an_alarm_that_ignores_gaps_keeps_its_state_without_points() {
        use State::{Alarm, Ok};
        for (range, to_alarm, ignore) in
            [("-----", 3, Alarm), ("--X--", 3, Alarm), ("0----", 3, Ok), ("0-X--", 2, Ok), ("----0", 2, Ok)]
        {
            let points = range.chars().map(|c| (c != '-').then_some(c == 'X')).collect::<Vec<_>>();
            let evaluation = Evaluation { periods: 3, to_alarm, missing: MissingData::Ignore };
            assert_eq!(evaluation.state(&points, Alarm), ignore, "{range} {to_alarm}");
        }
    }

    /// The columns MISSING and NOT BREACHING of the guide's two tables, and its text on premature alarms.
    #[test]
    fn the_guides_tables() {
        use State::{Alarm, InsufficientData, Ok};
        for (range, to_alarm, missing, not_breaching) in [
            ("0-X-X", 3, Ok, Ok),
            ("0----", 3, Ok, Ok),
            ("-----", 3, InsufficientData, Ok),
            ("0XX-X", 3, Alarm, Alarm),
            ("--X--", 3, Alarm, Ok),
            ("----X", 3, Ok, Ok),
            ("---X-", 3, Ok, Ok),
            ("0-X-X", 2, Alarm, Alarm),
            ("00X0X", 2, Alarm, Alarm),
            ("0-X--", 2, Ok, Ok),
            ("----0", 2, Ok, Ok),
            ("---X-", 2, Alarm, Ok),
        ] {
            assert_eq!(state(range, to_alarm, MissingData::Missing), missing, "{range} {to_alarm}");
            assert_eq!(
                state(range, to_alarm, MissingData::NotBreaching),
                not_breaching,
                "{range} {to_alarm}"
            );
        }
    }
}
