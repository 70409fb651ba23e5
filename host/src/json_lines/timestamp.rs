//! The time of a line.

use std::cell::RefCell;
use std::time::Duration;

thread_local! {
    /// The second of the thread's last line, and its text: many lines are written in each.
    static LAST_SECOND: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
}

/// Adds a time since the Unix epoch as RFC 3339 in UTC, to the microsecond: `2026-11-30T08:43:12.123456Z`.
pub(super) fn push(line: &mut String, since_epoch: Duration) {
    LAST_SECOND.with_borrow_mut(|(second, text)| {
        if *second != since_epoch.as_secs() {
            *second = since_epoch.as_secs();
            *text = second_text(*second);
        }
        line.push_str(text);
    });
    line.push('.');
    let micros = since_epoch.subsec_micros();
    for unit in [100_000, 10_000, 1_000, 100, 10, 1] {
        line.push(char::from_digit(micros / unit % 10, 10).unwrap_or_default());
    }
    line.push('Z');
}

fn second_text(second: u64) -> String {
    let time = i64::try_from(second).ok().and_then(|second| jiff::Timestamp::from_second(second).ok());
    let text = time.unwrap_or(jiff::Timestamp::MAX).strftime("%Y-%m-%dT%H:%M:%S");
    text.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_to_the_microsecond() {
        let table = [
            (Duration::ZERO, "1970-01-01T00:00:00.000000Z"),
            (Duration::from_nanos(1_001), "1970-01-01T00:00:00.000001Z"),
            (Duration::new(1_796_028_192, 987_654_321), "2026-11-30T08:43:12.987654Z"),
            (Duration::new(951_827_696, 120_000_000), "2000-02-29T12:34:56.120000Z"),
            (Duration::new(951_827_696, 99_999), "2000-02-29T12:34:56.000099Z"),
        ];
        for (time, text) in table {
            let mut line = String::new();
            push(&mut line, time);
            assert_eq!(line, text);
        }
    }
}
