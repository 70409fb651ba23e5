//! Rules for missed firings.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A firing within this time of its instant is on time under every rule. It covers takeovers between schedulers and restarts of
/// servers.
pub const ON_TIME: Duration = Duration::from_secs(60);

/// The maximum number of missed firings that [`CatchUp::All`] fires, newest first. A schedule of every minute reaches it after
/// 16 hours.
pub const MAX_CATCH_UP: usize = 1000;

/// The rule for firings that are more than a [minute](ON_TIME) late because no scheduler ran or the outbox was unreachable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CatchUp {
    /// Skips them.
    Skip,
    /// Fires the newest one, unless a firing that is on time follows.
    #[default]
    Last,
    /// Fires the newest [thousand](MAX_CATCH_UP) in order, and skips older ones.
    All,
}

impl CatchUp {
    /// All rules, by their names in the settings.
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
