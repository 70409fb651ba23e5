//! The known names, and the search for the one that a misspelt name was meant as.

use std::collections::BTreeSet;

use super::by_name::TABLES;
use super::table::{SETTINGS, variable};

/// The prefix of the variables of settings.
pub(super) const PREFIX: &str = "DRUMLINE_";

/// The variable that names the file.
pub(super) const CONFIG: &str = "DRUMLINE_CONFIG";

/// The key of the `[limits."TYPE"]` tables.
pub(super) const LIMITS: &str = "limits";

/// The maximum number of names that a message suggests.
const MOST_SUGGESTED: usize = 3;

/// The maximum number of typing errors in a name.
const MOST_SLIPS: usize = 3;

/// Words that people add to the name of a setting, or write in place of one of its words.
const GENERIC: [&str; 25] = [
    "addr", "address", "count", "dir", "enabled", "endpoint", "file", "host", "level", "limit", "max",
    "mode", "ms", "name", "path", "policy", "port", "secs", "seconds", "target", "time", "timeout", "to",
    "uri", "url",
];

/// A set of known names, and the words in them.
#[derive(Debug)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// Returns the variables of all settings.
    pub(super) fn of_variables() -> Self {
        let settings = SETTINGS.iter().map(|setting| setting.key);
        let tables = TABLES.iter().map(|table| table.key);
        Self(settings.chain(tables).chain([LIMITS]).map(variable).chain([CONFIG.to_owned()]).collect())
    }

    /// Makes a set of these names.
    pub(super) fn of(names: impl IntoIterator<Item = &'static str>) -> Self {
        Self(names.into_iter().map(str::to_owned).collect())
    }

    pub(super) fn with(mut self, names: &[&'static str]) -> Self {
        self.0.extend(names.iter().map(|&name| name.to_owned()));
        self
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Returns the known names, at most three, that are similar to an unknown one: by one letter, else by its words, else by
    /// some letters.
    pub(super) fn meant(&self, name: &str) -> Option<String> {
        let near = [self.by_letters(name, 1), self.by_words(name), self.by_letters(name, MOST_SLIPS)];
        let near = near.into_iter().find(|near| !near.is_empty())?;
        let (last, first) = near.split_last()?;
        let last = (*last).to_owned();
        Some(if first.is_empty() { last } else { format!("{} or {last}", first.join(", ")) })
    }

    /// Returns the nearest names with at most this number of typing errors.
    fn by_letters(&self, name: &str, slips: usize) -> Vec<&str> {
        let name = words_of(name).join("_");
        let distance = |known: &str| strsim::damerau_levenshtein(&words_of(known).join("_"), &name);
        self.best(|known| {
            let distance = distance(known);
            (distance <= slips.min(tolerance(name.len()))).then_some(usize::MAX - distance)
        })
    }

    /// Returns the names that share most words with this one, if each of its words is known: `FORWARD_URL` was meant as a
    /// setting, while `ORDERS_BUCKET` belongs to another program.
    fn by_words(&self, name: &str) -> Vec<&str> {
        let all: BTreeSet<String> = self.0.iter().flat_map(|name| words_of(name)).collect();
        let words = words_of(name);
        let is_known = |word: &String| {
            GENERIC.contains(&word.as_str()) || all.iter().any(|known| is_same_word(known, word))
        };
        if !words.iter().all(is_known) {
            return Vec::new();
        }
        self.best(|known| {
            let known = words_of(known);
            // A specific word counts more than `URL`.
            let weight = |word: &String| if GENERIC.contains(&word.as_str()) { 1 } else { 10 };
            let among = |word: &String, all: &[String]| all.iter().any(|other| is_same_word(other, word));
            let shared: usize = words.iter().filter(|word| among(word, &known)).map(weight).sum();
            // Of two with the same shared words, the one with fewer other words is nearer.
            let besides: usize = known.iter().filter(|word| !among(word, &words)).map(weight).sum();
            (shared > 0).then(|| shared * 1000 - besides)
        })
    }

    /// Returns the names with the highest score; none if there are too many of them.
    fn best(&self, score: impl Fn(&str) -> Option<usize>) -> Vec<&str> {
        let scored: Vec<(usize, &str)> =
            self.0.iter().filter_map(|name| Some((score(name)?, &**name))).collect();
        let Some(highest) = scored.iter().map(|(score, _)| *score).max() else { return Vec::new() };
        let best: Vec<&str> =
            scored.into_iter().filter(|(score, _)| *score == highest).map(|(_, name)| name).collect();
        if best.len() > MOST_SUGGESTED { Vec::new() } else { best }
    }
}

/// Returns the words of a variable or a key, in lower case.
fn words_of(name: &str) -> Vec<String> {
    let key = name.strip_prefix(PREFIX).unwrap_or(name);
    key.split(['_', '-']).map(str::to_lowercase).collect()
}

/// Returns the allowed number of typing errors in a name of this length.
fn tolerance(length: usize) -> usize {
    match length {
        0..=4 => 1,
        5..=9 => 2,
        _ => MOST_SLIPS,
    }
}

/// Compares two words in the singular, with one typing error in a longer one.
fn is_same_word(a: &str, b: &str) -> bool {
    let singular = |word: &str| {
        let stem = word.strip_suffix("ies").map(|stem| format!("{stem}y"));
        stem.unwrap_or_else(|| word.strip_suffix('s').unwrap_or(word).to_owned())
    };
    let (a, b) = (singular(a), singular(b));
    a == b || (a.len().min(b.len()) > 4 && strsim::damerau_levenshtein(&a, &b) <= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_variable_finds_its_name() {
        let names = Names::of_variables().with(&["DRUMLINE_BILLING_URL", "DRUMLINE_SMTP_URL"]);
        let table = [
            ("DRUMLINE_CONCURENCY", "DRUMLINE_CONCURRENCY"),
            ("DRUMLINE_QUEUE_URLS", "DRUMLINE_QUEUE_URL"),
            ("DRUMLINE_QUEUE", "DRUMLINE_QUEUE_URL"),
            ("DRUMLINE_QUEUEURL", "DRUMLINE_QUEUE_URL"),
            ("DRUMLINE_QUEUE-URL", "DRUMLINE_QUEUE_URL"),
            ("DRUMLINE_FORWARD_URL", "DRUMLINE_FORWARD_TO"),
            ("DRUMLINE_FORWARD_ADDRESS", "DRUMLINE_FORWARD_TO"),
            ("DRUMLINE_FORWARD", "DRUMLINE_FORWARD_TO"),
            ("DRUMLINE_LOG_LEVEL", "DRUMLINE_LOG"),
            ("DRUMLINE_LOGFORMAT", "DRUMLINE_LOG_FORMAT"),
            ("DRUMLINE_LOGS", "DRUMLINE_LOG"),
            ("DRUMLINE_STORE", "DRUMLINE_STORE_URL"),
            ("DRUMLINE_TTL", "DRUMLINE_DONE_TTL or DRUMLINE_HISTORY_TTL"),
            ("DRUMLINE_HTTP", "DRUMLINE_HTTP_ADDR"),
            ("DRUMLINE_TIMEOUT", "DRUMLINE_HANDLER_TIMEOUT or DRUMLINE_VISIBILITY_TIMEOUT"),
            ("DRUMLINE_VISIBILTY_TIMEOUT", "DRUMLINE_VISIBILITY_TIMEOUT"),
            ("DRUMLINE_VISIBILITY", "DRUMLINE_VISIBILITY_TIMEOUT"),
            ("DRUMLINE_WAIT_TIME_SECONDS", "DRUMLINE_WAIT_TIME"),
            ("DRUMLINE_HTTP_PORT", "DRUMLINE_HTTP_ADDR"),
            ("DRUMLINE_CONFIG_FILE", "DRUMLINE_CONFIG"),
            ("DRUMLINE_RETRIES", "DRUMLINE_RETRY"),
            ("DRUMLINE_SMTP_ADDRESS", "DRUMLINE_SMTP_URL"),
        ];
        for (name, meant) in table {
            assert_eq!(names.meant(name).as_deref(), Some(meant), "{name}");
        }
    }

    #[test]
    fn a_variable_of_others_is_no_misspelt_setting() {
        let names = Names::of_variables().with(&["DRUMLINE_BILLING_URL", "DRUMLINE_SMTP_URL"]);
        for name in [
            "DRUMLINE_ORDERS_BUCKET",
            "DRUMLINE_TEST_LOCALSTACK",
            "DRUMLINE_TEST_POSTGRES_BIN",
            "DRUMLINE_SAMPLE_JOBS",
            "DRUMLINE_VERSION",
            "DRUMLINE_IMAGE",
            "DRUMLINE_ENV",
            "DRUMLINE_STAGE",
            "DRUMLINE_NAME",
            "DRUMLINE_URL",
            "DRUMLINE_WRITE_RULES",
        ] {
            assert_eq!(names.meant(name), None, "{name}");
        }
    }
}
