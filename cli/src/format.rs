//! Formats values for people.

use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use comfy_table::{ContentArrangement, Table, presets};
use drumline_runtime::{is_unseen, program};

/// Writes a note to standard error, because the command's output may go into a pipe.
///
/// Errors are ignored: a closed terminal accepts no more notes, and the command must still release what it holds.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{}: {text}", program());
}

/// Returns the wall clock in milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Returns whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Formats a time: `2026-11-21T10:00:00Z, 3m ago`.
pub(crate) fn when(at_ms: u64, now_ms: u64) -> String {
    let relative = if at_ms <= now_ms {
        format!("{} ago", short(now_ms - at_ms))
    } else {
        format!("in {}", short(at_ms - now_ms))
    };
    format!("{}, {relative}", rfc3339(at_ms))
}

/// Formats a time to the second, in UTC like logs.
pub(crate) fn rfc3339(at_ms: u64) -> String {
    let secs = i64::try_from(at_ms / 1000).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(secs).map_or_else(|_| "-".to_owned(), |time| time.to_string())
}

/// Formats a duration in its two largest units: `2d 3h`, `1m 5s`, `1.25s`, `80ms`.
pub(crate) fn short(millis: u64) -> String {
    let secs = millis / 1000;
    let (days, hours, minutes) = (secs / 86_400, secs / 3_600, secs / 60);
    let pair = |large: u64, unit: &str, small: u64, small_unit: &str| {
        if small == 0 { format!("{large}{unit}") } else { format!("{large}{unit} {small}{small_unit}") }
    };
    match millis {
        0..1_000 => format!("{millis}ms"),
        1_000..10_000 => {
            let text = format!("{secs}.{:02}", millis % 1000 / 10);
            format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
        }
        10_000..60_000 => format!("{secs}s"),
        60_000..3_600_000 => pair(minutes, "m", secs % 60, "s"),
        3_600_000..86_400_000 => pair(hours, "h", minutes % 60, "m"),
        _ => pair(days, "d", hours % 24, "h"),
    }
}

/// Formats a duration in its largest unit: `3d`, `5h`, `12m`, `40s`.
pub(crate) fn shortest(millis: u64) -> String {
    let secs = millis / 1000;
    match secs {
        0..60 => format!("{secs}s"),
        60..3_600 => format!("{}m", secs / 60),
        3_600..86_400 => format!("{}h", secs / 3_600),
        _ => format!("{}d", secs / 86_400),
    }
}

/// Puts a text on one line without control characters: ids and reasons come from other people.
pub(crate) fn one_line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if is_unseen(c) { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Puts a text on one line without control characters, cut to `longest` characters.
pub(crate) fn brief(text: &str, longest: usize) -> String {
    let text = one_line(text);
    match text.char_indices().nth(longest) {
        None => text,
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
    }
}

/// Removes control characters from a text, except line breaks and tabs.
pub(crate) fn many_lines(text: &str) -> String {
    text.chars().map(|c| if is_unseen(c) && c != '\n' && c != '\t' { '\u{FFFD}' } else { c }).collect()
}

/// Creates a table without lines, as wide as the terminal, or as its content if there is no terminal.
pub(crate) fn table<'a>(header: impl IntoIterator<Item = &'a str>, is_terminal: bool) -> Table {
    let mut table = Table::new();
    let arrangement = if is_terminal { ContentArrangement::Dynamic } else { ContentArrangement::Disabled };
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(arrangement)
        .set_header(header.into_iter().collect::<Vec<_>>());
    table
}

/// Formats a number with a noun: `1 message`, `2 messages`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Returns the verb's form for a number of things: `is` for one, `are` for others.
pub(crate) fn verb<'a>(number: usize, one: &'a str, others: &'a str) -> &'a str {
    if number == 1 { one } else { others }
}

/// Formats the refusal of an `--expect`: `1 letter matches instead of 2`.
pub(crate) fn not_expected(found: u64, expected: u64) -> String {
    let found = usize::try_from(found).unwrap_or(usize::MAX);
    format!("{} {} instead of {expected}", count(found, "letter"), verb(found, "matches", "match"))
}

/// Quotes words for a shell.
pub(crate) fn shell<'a>(words: impl IntoIterator<Item = &'a String>) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@%+".contains(c);
    let quoted = words.into_iter().map(|word| {
        if !word.is_empty() && word.chars().all(is_plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Parses an age or a wait from the command line.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "is not a duration; write it like 30m, 12h or 2d".to_owned())
}

/// Parses a rate from the command line, such as `50/s`.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    let rate = number.parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "write it as so many a second, such as 50/s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_formatted_in_two_units() {
        let table = [
            (0, "0ms"),
            (80, "80ms"),
            (1_000, "1s"),
            (1_250, "1.25s"),
            (1_500, "1.5s"),
            (59_999, "59s"),
            (60_000, "1m"),
            (65_000, "1m 5s"),
            (3 * 3_600_000, "3h"),
            (51 * 3_600_000, "2d 3h"),
        ];
        for (millis, text) in table {
            assert_eq!(short(millis), text);
        }
    }

    #[test]
    fn one_is_singular() {
        let table = [
            (0, "0 letters match instead of 9"),
            (1, "1 letter matches instead of 9"),
            (2, "2 letters match instead of 9"),
        ];
        for (found, text) in table {
            assert_eq!(not_expected(found, 9), text);
        }
    }

    #[test]
    fn an_age_has_one_unit() {
        let table = [(999, "0s"), (59_999, "59s"), (3_599_999, "59m"), (51 * 3_600_000, "2d")];
        for (millis, text) in table {
            assert_eq!(shortest(millis), text);
        }
    }

    #[test]
    fn times_are_formatted_absolutely_and_relatively() {
        assert_eq!(when(1_700_000_000_000, 1_700_000_065_000), "2023-11-14T22:13:20Z, 1m 5s ago");
        assert_eq!(when(1_700_000_030_000, 1_700_000_000_000), "2023-11-14T22:13:50Z, in 30s");
        assert_eq!(rfc3339(u64::MAX), "-");
    }

    #[test]
    fn other_peoples_words_cannot_move_the_cursor() {
        assert_eq!(one_line("a\u{1b}[2Jb\r\n  c\u{202E}d"), "a [2Jb c d");
        assert_eq!(many_lines("a\u{1b}[2J\n\tb"), "a\u{FFFD}[2J\n\tb");
        assert_eq!(one_line("a\u{200E}b\u{2067}c\u{9b}d\u{7f}e"), "a b c d e");
        assert_eq!(brief("äöü  xyz", 5), "äöü x…");
        assert_eq!(brief("äöü", 3), "äöü");
    }
}
