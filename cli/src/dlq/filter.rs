//! Which dead letters are meant.

use std::time::Duration;

use super::dead_letter::DeadLetter;
use crate::format::duration;

/// All of it has to hold; what is not given holds.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Filter {
    /// Only jobs of this type; several may be named
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only if the class or the reason holds this text, in whatever case
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only what was sent at least so long ago, such as 12h or 2d
    #[arg(long, value_name = "AGE", value_parser = duration)]
    older_than: Option<Duration>,
    /// Only this message or job; several may be named
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,
}

impl Filter {
    /// Returns true if nothing is given.
    pub(super) fn is_open(&self) -> bool {
        let Self { types, reason, older_than, ids } = self;
        types.is_empty() && reason.is_none() && older_than.is_none() && ids.is_empty()
    }

    /// Returns true if the histories of jobs are needed.
    pub(super) fn needs_history(&self) -> bool {
        self.reason.is_some() || !self.types.is_empty()
    }

    pub(super) fn matches(&self, letter: &DeadLetter, now_ms: u64) -> bool {
        let type_matches = || {
            letter.letter().job_type().is_some_and(|known| self.types.iter().any(|wanted| wanted == known))
        };
        let reason_matches = |wanted: &String| {
            letter.letter().why().to_string().to_lowercase().contains(&wanted.to_lowercase())
        };
        let is_old = |age: Duration| {
            letter
                .letter()
                .sent_ms()
                .is_some_and(|sent| u128::from(now_ms.saturating_sub(sent)) >= age.as_millis())
        };
        (self.types.is_empty() || type_matches())
            && self.reason.as_ref().is_none_or(reason_matches)
            && self.older_than.is_none_or(is_old)
            && (self.ids.is_empty() || self.ids.iter().any(|id| letter.letter().is_called(id)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::{Args, Command, FromArgMatches};
    use drumline::message::{Intake, Message};

    use super::*;
    use crate::examples::{attempt, job};

    const NOW: u64 = 1_700_000_000_000;

    fn letter() -> DeadLetter {
        let message = Message {
            id: "m-1".into(),
            body: r#"{"type":"email.send","jobId":"j-1","payload":{}}"#.to_owned(),
            sent_at: Some(Duration::from_millis(NOW - 3 * 86_400_000)),
            ..Message::default()
        };
        let mut letter = DeadLetter::new(message, &Intake::default());
        letter.learn(Some(job(None, vec![attempt("dead_letter", "No such user")]).into()));
        letter
    }

    fn filter(args: &[&str]) -> Filter {
        let command = Filter::augment_args(Command::new("ls").no_binary_name(true));
        Filter::from_arg_matches(&command.try_get_matches_from(args).unwrap()).unwrap()
    }

    #[test]
    fn all_that_is_said_has_to_hold() {
        let table: [(&[&str], bool); 15] = [
            (&[], true),
            (&["--type", "email.send"], true),
            (&["--type", "image.process"], false),
            (&["--type", "image.process", "--type", "email.send"], true),
            (&["--reason", "no such USER"], true),
            (&["--reason", "rejected"], true),
            (&["--reason", "no route"], false),
            (&["--older-than", "2d"], true),
            (&["--older-than", "72h"], true),
            (&["--older-than", "73h"], false),
            (&["--id", "m-1"], true),
            (&["--id", "j-1"], true),
            (&["--id", "j-2"], false),
            (&["--id", "j-2", "--id", "m-1"], true),
            (&["--id", "j-1", "--type", "image.process"], false),
        ];
        for (args, expected) in table {
            assert_eq!(filter(args).matches(&letter(), NOW), expected, "{args:?}");
            assert_eq!(filter(args).is_open(), args.is_empty(), "{args:?}");
        }
    }

    #[test]
    fn an_age_is_a_duration() {
        let command = Filter::augment_args(Command::new("ls").no_binary_name(true));
        let error = command.try_get_matches_from(["--older-than", "yesterday"]).unwrap_err();
        assert!(error.to_string().contains("2d"), "{error}");
    }

    #[test]
    fn what_tells_no_time_or_type_is_not_picked_by_it() {
        let letter = DeadLetter::new(
            Message { id: "m".into(), body: "not a job".to_owned(), ..Message::default() },
            &Intake::default(),
        );
        assert!(!filter(&["--older-than", "1s"]).matches(&letter, NOW));
        assert!(!filter(&["--type", "email.send"]).matches(&letter, NOW));
        assert!(filter(&[]).matches(&letter, NOW));
    }
}
