//! The wait that an HTTP response asks for.

use std::time::{Duration, SystemTime};

/// Reads seconds, a duration such as `30s` or `5m`, or a date; a date in the past means at once. See
/// [Retry-After](https://www.rfc-editor.org/rfc/rfc9110#field.retry-after).
pub fn read_delay(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(secs) = text.parse::<u64>() {
        return Some(Duration::from_secs(secs));
    }
    if let Ok(delay) = humantime::parse_duration(text) {
        return Some(delay);
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_seconds_durations_or_dates() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let table = [
            ("30", Some(30)),
            (" 30s ", Some(30)),
            ("5m", Some(300)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Fri, 31 Dec 1993 23:59:59 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
        ];
        for (text, secs) in table {
            assert_eq!(read_delay(text, now), secs.map(Duration::from_secs), "{text}");
        }
    }
}
