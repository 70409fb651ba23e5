//! The filters of the command line.

use std::time::Duration;

use drumline_dlq::filter::{Filter, Match};
use drumline_dlq::fingerprint::FingerprintPrefix;

use crate::format::duration;

/// The filters for dead letters: all given filters must match.
#[derive(Debug, Default, clap::Args)]
pub(super) struct FilterArgs {
    /// Only letters of this job type; repeatable
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only letters with this text in class or reason
    ///
    /// The comparison ignores case.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only letters with this fingerprint; repeatable
    ///
    /// Give the fingerprint that `stats` prints, or its first digits, at least four.
    #[arg(long = "fingerprint", value_name = "HEX")]
    fingerprints: Vec<FingerprintPrefix>,
    /// Only letters older than this, such as 12h or 2d
    #[arg(long, value_name = "AGE", value_parser = duration)]
    older_than: Option<Duration>,
    /// Only this message or job; several may be given
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,
    /// Only letters with this value in the body; several must all match
    ///
    /// /POINTER is a JSON pointer (RFC 6901).
    #[arg(long = "match", value_name = "/POINTER=VALUE")]
    matches: Vec<Match>,
}

impl FilterArgs {
    /// Returns the filter of the command line.
    pub(super) fn filter(&self) -> Filter {
        let Self { types, reason, fingerprints, older_than, ids, matches } = self;
        Filter {
            types: types.clone(),
            reason: reason.clone(),
            fingerprints: fingerprints.clone(),
            older_than: *older_than,
            ids: ids.clone(),
            matches: matches.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::{Args, Command, FromArgMatches};
    use drumline::message::{Intake, Message};

    use super::*;
    use crate::dlq::dead_letter::DeadLetter;
    use crate::examples::{attempt, job};

    const NOW: u64 = 1_700_000_000_000;

    fn letter() -> DeadLetter {
        let message = Message {
            id: "m-1".into(),
            body: r#"{"type":"email.send","jobId":"j-1","payload":{"userId":7}}"#.to_owned(),
            sent_at: Some(Duration::from_millis(NOW - 3 * 86_400_000)),
            ..Message::default()
        };
        let mut letter = DeadLetter::new(message, &Intake::default());
        letter.learn(Some(job(None, vec![attempt("dead_letter", "No such user")]).into()));
        letter
    }

    fn filter(args: &[&str]) -> Filter {
        let command = FilterArgs::augment_args(Command::new("ls").no_binary_name(true));
        FilterArgs::from_arg_matches(&command.try_get_matches_from(args).unwrap()).unwrap().filter()
    }

    #[test]
    fn all_that_is_said_has_to_hold() {
        let table: [(&[&str], bool); 20] = [
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
            (&["--fingerprint", "FINGERPRINT"], true),
            (&["--fingerprint", "0000"], false),
            (&["--fingerprint", "0000", "--fingerprint", "FINGERPRINT"], true),
            (&["--match", "/payload/userId=7", "--match", "/jobId=j-1"], true),
            (&["--match", "/payload/userId=8"], false),
        ];
        let letter = letter();
        let fingerprint = letter.letter().fingerprint().to_string();
        for (args, expected) in table {
            let args: Vec<&str> = args
                .iter()
                .map(|arg| if *arg == "FINGERPRINT" { fingerprint.as_str() } else { arg })
                .collect();
            assert_eq!(filter(&args).matches(letter.letter(), NOW), expected, "{args:?}");
            assert_eq!(filter(&args).is_open(), args.is_empty(), "{args:?}");
        }
    }

    #[test]
    fn a_filter_that_cannot_be_read_says_how_it_is_written() {
        let table = [
            (["--older-than", "yesterday"], "2d"),
            (["--fingerprint", "3f2"], "4 to 8 hexadecimal digits"),
            (["--match", "/payload/userId"], "/payload/userId=7"),
        ];
        for (args, hint) in table {
            let command = FilterArgs::augment_args(Command::new("ls").no_binary_name(true));
            let error = command.try_get_matches_from(args).unwrap_err();
            assert!(error.to_string().contains(hint), "{error}");
        }
    }
}
