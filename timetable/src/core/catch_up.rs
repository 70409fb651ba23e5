//! What happens to firings that were missed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The time for which a firing is on time, in all rules: schedulers take over from each other, and servers restart, within it.
pub const ON_TIME: Duration = Duration::from_secs(60);

/// The most missed firings that [`CatchUp::All`] makes up for: the newest ones. A schedule of every minute has them after 16 hours.
pub const MAX_CATCH_UP: usize = 1000;

/// What happens to firings that are more than a [minute](ON_TIME) late, since no scheduler ran, or the outbox could not be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CatchUp {
    /// They are skipped.
    Skip,
    /// The newest one fires, unless a firing that is on time follows.
    #[default]
    Last,
    /// The newest [thousand](MAX_CATCH_UP) fire, in order; older ones are skipped.
    All,
}

impl CatchUp {
    /// All of them, by the words of settings.
    pub const WORDS: [(&'static str, Self); 3] =
        [("skip", Self::Skip), ("last", Self::Last), ("all", Self::All)];
}

impl fmt::Display for CatchUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Skip => "skip",
            Self::Last => "last",
            Self::All => "all",
        })
    }
}

impl FromStr for CatchUp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::WORDS.into_iter().find(|(word, _)| *word == text);
        found.map(|(_, catch_up)| catch_up).ok_or_else(|| "must be one of skip, last, all".to_owned())
    }
}
