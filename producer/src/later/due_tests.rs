#![allow(clippy::unwrap_used)]
use super::*;
use crate::options::{Place, Spread};
use crate::unique::Unique;

fn at(ms: u64) -> Options {
    Options { at: Some(UNIX_EPOCH + Duration::from_millis(ms)), ..Options::default() }
}

fn delay(delay: Duration) -> Options {
    Options { delay: Some(delay), ..Options::default() }
}

#[test]
fn a_job_is_due_to_the_millisecond_and_never_earlier() {
    let year = Duration::from_secs(366 * 24 * 60 * 60);
    let nanos = |nanos| Options { at: Some(UNIX_EPOCH + Duration::from_nanos(nanos)), ..Options::default() };
    let before = Options { at: Some(UNIX_EPOCH - Duration::from_secs(1)), ..Options::default() };
    let both = |index| {
        let spread = Some(Spread { within: Duration::from_secs(10), place: Place::Nth(index, 4) });
        Options { spread, ..at(1_000) }
    };
    let debounced = Unique::debounce(Duration::from_secs(5), Duration::from_secs(60));
    let table = [
        (Options::default(), Due::Now),
        (at(1_796_000_000_123), Due::AtMs(1_796_000_000_123)),
        (nanos(1_000_000), Due::AtMs(1)),
        (nanos(1_000_001), Due::AtMs(2)),
        (before, Due::AtMs(0)),
        (at(LATEST_MS), Due::AtMs(253_402_300_799_999)),
        (both(0), Due::AtMs(1_000)),
        (both(3), Due::AtMs(8_500)),
        (delay(Duration::ZERO), Due::Now),
        (delay(Duration::from_nanos(1)), Due::After(Duration::from_millis(1))),
        (delay(Duration::from_micros(1_500)), Due::After(Duration::from_millis(2))),
        (delay(year), Due::After(year)),
        (Options { unique: Some(debounced), ..Options::default() }, Due::After(Duration::from_secs(5))),
    ];
    for (options, due) in table {
        assert_eq!(options.due().unwrap(), due, "{options:?}");
    }
}

#[test]
fn what_has_no_one_time_is_refused() {
    let time = SystemTime::now();
    let debounced = || Some(Unique::debounce(Duration::from_secs(5), Duration::from_secs(60)));
    let endless = Some(Spread { within: Duration::MAX, place: Place::Random });
    let table = [
        (at(LATEST_MS + 1), "at", "after the year 9999"),
        (delay(Duration::MAX), "delay", "after the year 9999"),
        (delay(Duration::from_secs(300_000_000_000)), "delay", "after the year 9999"),
        (Options { spread: endless, ..at(1) }, "at", "after the year 9999"),
        (Options { spread: endless, ..Options::default() }, "spread", "after the year 9999"),
        (Options { at: Some(time), ..delay(Duration::from_secs(1)) }, "at", "leave at or delay out"),
        (Options { unique: debounced(), ..at(1) }, "at", "leave at or unique out"),
        (Options { unique: debounced(), ..delay(Duration::ZERO) }, "delay", "leave delay or unique out"),
    ];
    for (options, option, says) in table {
        let (field, reason) = options.due().unwrap_err();
        assert_eq!(field, option, "{options:?}");
        assert!(reason.contains(says), "{reason}");
    }
}

#[test]
fn a_receipt_has_the_time_at_which_its_job_is_due() {
    assert_eq!(time_of(Due::Now), None);
    assert_eq!(time_of(Due::AtMs(1_500)), Some(UNIX_EPOCH + Duration::from_millis(1_500)));
    let later = time_of(Due::After(Duration::from_secs(60))).unwrap();
    let left = later.duration_since(SystemTime::now()).unwrap();
    assert!(left > Duration::from_secs(50) && left <= Duration::from_secs(60), "{left:?}");
}

#[test]
fn a_spread_reaches_from_now_to_its_end() {
    let spread = Some(Spread { within: Duration::from_millis(3), place: Place::Random });
    let options = Options { spread, ..Options::default() };
    let dues: std::collections::HashSet<_> =
        (0..300).map(|_| format!("{:?}", options.due().unwrap())).collect();
    assert_eq!(dues.len(), 4, "{dues:?}");
}
