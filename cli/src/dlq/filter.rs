//! Which dead letters are meant.

use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches};

use super::letter::Letter;
use crate::cli::words::duration;

/// All of it has to hold; what is not said holds.
#[derive(Debug, Default)]
pub(super) struct Filter {
    types: Vec<String>,
    /// In lower case.
    reason: Option<String>,
    older_than: Option<Duration>,
    ids: Vec<String>,
}

impl Filter {
    pub(super) fn args() -> [Arg; 4] {
        let arg = |name: &'static str, value: &'static str| Arg::new(name).long(name).value_name(value);
        [
            arg("type", "TYPE")
                .action(ArgAction::Append)
                .help("Only jobs of this type; several may be named"),
            arg("reason", "TEXT")
                .help("Only where the class or the reason holds this text, in whatever case"),
            arg("older-than", "AGE")
                .value_parser(duration)
                .help("Only what was sent at least so long ago, such as 12h or 2d"),
            arg("id", "ID").action(ArgAction::Append).help("Only this message or job; several may be named"),
        ]
    }

    pub(super) fn read(args: &ArgMatches) -> Self {
        let all = |name: &str| args.get_many::<String>(name).into_iter().flatten().cloned().collect();
        Self {
            types: all("type"),
            reason: args.get_one::<String>("reason").map(|text| text.to_lowercase()),
            older_than: args.get_one("older-than").copied(),
            ids: all("id"),
        }
    }

    /// Whether anything is said.
    pub(super) fn is_open(&self) -> bool {
        let Self { types, reason, older_than, ids } = self;
        types.is_empty() && reason.is_none() && older_than.is_none() && ids.is_empty()
    }

    pub(super) fn matches(&self, letter: &Letter, now_ms: u64) -> bool {
        let type_matches =
            || letter.job_type().is_some_and(|known| self.types.iter().any(|wanted| wanted == known));
        let reason_matches = |wanted: &String| letter.why().to_string().to_lowercase().contains(wanted);
        let is_old = |age: Duration| {
            letter.sent_ms().is_some_and(|sent| u128::from(now_ms.saturating_sub(sent)) >= age.as_millis())
        };
        (self.types.is_empty() || type_matches())
            && self.reason.as_ref().is_none_or(reason_matches)
            && self.older_than.is_none_or(is_old)
            && (self.ids.is_empty() || self.ids.iter().any(|id| letter.is_called(id)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Command;
    use drumline::message::{Intake, Message};

    use super::*;
    use crate::job_view::examples::{attempt, job};

    const NOW: u64 = 1_700_000_000_000;

    fn letter() -> Letter {
        let message = Message {
            id: "m-1".into(),
            body: r#"{"type":"email.send","jobId":"j-1","payload":{}}"#.to_owned(),
            sent_at: Some(Duration::from_millis(NOW - 3 * 86_400_000)),
            ..Message::default()
        };
        let mut letter = Letter::new(message, &Intake::default());
        letter.learn(Some(job(None, vec![attempt("dead_letter", "No such user")]).into()));
        letter
    }

    fn filter(args: &[&str]) -> Filter {
        let command = Command::new("ls").no_binary_name(true).args(Filter::args());
        Filter::read(&command.try_get_matches_from(args).unwrap())
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
        let command = Command::new("ls").no_binary_name(true).args(Filter::args());
        let error = command.try_get_matches_from(["--older-than", "yesterday"]).unwrap_err();
        assert!(error.to_string().contains("2d"), "{error}");
    }

    #[test]
    fn what_tells_no_time_or_type_is_not_picked_by_it() {
        let letter = Letter::new(
            Message { id: "m".into(), body: "not a job".to_owned(), ..Message::default() },
            &Intake::default(),
        );
        assert!(!filter(&["--older-than", "1s"]).matches(&letter, NOW));
        assert!(!filter(&["--type", "email.send"]).matches(&letter, NOW));
        assert!(filter(&[]).matches(&letter, NOW));
    }
}
