//! Flags that are recorded as they were given, so that a later process can use the same flags.

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};

/// Flags with their original words, such as `--type=email.send`.
#[derive(Debug, Clone)]
pub(super) struct Recorded<T> {
    pub(super) value: T,
    /// The words in the order of the help.
    pub(super) words: Vec<String>,
}

impl<T: Args> Recorded<T> {
    /// Reads flags from their words.
    ///
    /// # Errors
    ///
    /// Returns an error if a flag is unknown or its value is no longer valid.
    pub(super) fn from_words(words: &[String]) -> Result<Self, clap::Error> {
        let command = Self::augment_args(Command::new("replay").no_binary_name(true));
        Self::from_arg_matches(&command.try_get_matches_from(words)?)
    }
}

impl<T: Args> Args for Recorded<T> {
    fn augment_args(command: Command) -> Command {
        T::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        T::augment_args_for_update(command)
    }
}

impl<T: Args> FromArgMatches for Recorded<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self { value: T::from_arg_matches(matches)?, words: words::<T>(matches) })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn words<T: Args>(matches: &ArgMatches) -> Vec<String> {
    let command = T::augment_args(Command::new("replay"));
    let mut words = Vec::new();
    for flag in command.get_arguments() {
        let id = flag.get_id().as_str();
        let Some(name) = flag.get_long() else { continue };
        if matches.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        if !flag.get_action().takes_values() {
            words.push(format!("--{name}"));
            continue;
        }
        let values = matches.get_raw(id).into_iter().flatten();
        words.extend(values.map(|value| format!("--{name}={}", value.to_string_lossy())));
    }
    words
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Debug, Args)]
    struct Flags {
        #[arg(long = "type")]
        types: Vec<String>,
        #[arg(long)]
        limit: Option<u32>,
        #[arg(long, default_value = "10")]
        stop_after: u32,
        #[arg(long)]
        again: bool,
    }

    #[test]
    fn words_give_the_same_flags_again() {
        let table: [&[&str]; 4] = [
            &[],
            &["--type=a.b", "--type=--again", "--limit=3"],
            &["--type=with blanks = and more"],
            &["--stop-after=10", "--again"],
        ];
        for words in table {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            let flags = Recorded::<Flags>::from_words(&words).unwrap();
            assert_eq!(flags.words, words);
            let again = Recorded::<Flags>::from_words(&flags.words).unwrap();
            assert_eq!(format!("{flags:?}"), format!("{again:?}"));
        }
        let apart = ["--type", "a.b"].map(str::to_owned);
        assert_eq!(Recorded::<Flags>::from_words(&apart).unwrap().words, ["--type=a.b"]);
        assert!(Recorded::<Flags>::from_words(&["--limit=x".to_owned()]).is_err());
    }
}
