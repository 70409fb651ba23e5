#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt::Write;

use drumline::core::MAX_CHECKPOINT_BYTES;
use proptest::prelude::*;
use serde_json::json;

use super::super::{page, table};
use super::*;

fn job() -> ReportGenerate {
    let payload = json!({ "source": "file:///s.csv", "target": "file:///t", "groupBy": "who", "value": "n" });
    serde_json::from_value(payload).unwrap()
}

fn version() -> Version {
    serde_json::from_value(json!("v1")).unwrap()
}

fn outputs(mut tally: Tally) -> (String, String) {
    tally.end().unwrap();
    (
        table::csv(&tally.summary, crate::settings::Formulas::Escape),
        page::html(&job(), &tally.summary).unwrap(),
    )
}

/// Returns the tally after it was saved and resumed by another process.
fn put_away(tally: &Tally) -> Option<Tally> {
    let text = serde_json::to_string(&tally.checkpoint(&version())?).unwrap();
    Some(Tally::resume(&job(), serde_json::from_str(&text).unwrap()).unwrap())
}

fn unbroken(text: &[u8]) -> Tally {
    let mut tally = Tally::new(&job());
    tally.read(text).unwrap();
    tally
}

#[test]
fn an_interruption_behind_any_record_changes_nothing() {
    let text = "\u{feff}who,x,n\r\nb,1,2.5\r\n\"a\n,\",,-1\r\nb,\"\r\",0.25\n\n\u{feff}b,,3\nc,,1".as_bytes();
    let expected = outputs(unbroken(text));
    for stop in 4..=text.len() {
        let mut first = Tally::new(&job());
        first.read(&text[..stop]).unwrap();
        let Some(mut second) = put_away(&first) else { continue };
        second.read(&text[usize::try_from(second.offset()).unwrap()..]).unwrap();
        assert_eq!(outputs(second), expected, "stopped at {stop}");
    }
}

/// Writes a field, in quotes if it needs them or if `quote` is true.
fn written(field: &str, quote: bool) -> String {
    if quote || field.is_empty() || field.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

fn any_line_end() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["\n", "\r\n", "\r", "\n\n"])
}

type Line = (String, i64, String, bool, &'static str);

fn any_line() -> impl Strategy<Value = Line> {
    let name = "[ab\"\r\n,é\u{feff}]{0,3}";
    (name, -1_000_000_i64..1_000_000, "[x\",\r\n]{0,4}", any::<bool>(), any_line_end())
}

proptest! {
    /// Interruptions at any byte of any source, with pieces of any size, in any number.
    #[test]
    fn interruptions_change_nothing(
        lines in prop::collection::vec(any_line(), 0..30),
        with_mark: bool,
        piece_bytes in 4_usize..64,
        stops in prop::collection::vec(any::<bool>(), 1..60),
    ) {
        let mut text = format!("{}n,more,who\n", if with_mark { "\u{feff}" } else { "" });
        let mut sums = BTreeMap::<&str, (u64, i64)>::new();
        for (name, cents, more, quote, end) in &lines {
            let value = format!("{}{}.{:02}", if *cents < 0 { "-" } else { "" }, cents.abs() / 100, cents.abs() % 100);
            write!(text, "{value},{},{}{end}", written(more, *quote), written(name, *quote)).unwrap();
            let sum = sums.entry(name).or_default();
            *sum = (sum.0 + 1, sum.1 + cents);
        }

        let whole = unbroken(text.as_bytes());
        let mut broken = Tally::new(&job());
        let (mut at, mut stops) = (0, stops.into_iter());
        while at < text.len() {
            let end = text.len().min(at + piece_bytes);
            broken.read(&text.as_bytes()[at..end]).unwrap();
            at = end;
            if stops.next() == Some(true) && let Some(again) = put_away(&broken) {
                at = usize::try_from(again.offset()).unwrap();
                broken = again;
            }
        }
        let cents = |sum| i64::try_from(sum / 10_000).unwrap();
        let groups = whole.summary.totals.iter();
        let groups: BTreeMap<_, _> =
            groups.map(|(name, total)| (name, (total.count, cents(total.sum)))).collect();
        prop_assert_eq!(groups, sums);
        prop_assert_eq!(outputs(broken), outputs(whole));
    }
}

#[test]
fn the_largest_checkpoint_fits() {
    let mut tally = unbroken(b"who,n\n");
    // The largest number of groups, with the longest possible names: 13 characters, quotes and a comma each.
    for group in 0..1000 {
        tally.read(format!("{group:0>13},-999999999999.999999\n").as_bytes()).unwrap();
    }
    let etag = serde_json::from_value(json!("\"".repeat(256))).unwrap();
    let checkpoint = serde_json::to_string(&tally.checkpoint(&etag).unwrap()).unwrap();
    assert!((64_000..=MAX_CHECKPOINT_BYTES).contains(&checkpoint.len()), "{}", checkpoint.len());
}

#[test]
fn an_invalid_record_is_reported_with_its_place() {
    for (text, reason) in [
        ("", "the source is empty: it has not even a header"),
        ("\u{feff}\r\n", "the source is empty: it has not even a header"),
        ("who,m\n", "there is no column \"n\", only \"who\", \"m\""),
        ("who,n,who\n", "the column \"who\" is there twice"),
        ("who,n\na,1\nb\n", "record 2 (line 3): it has 1 fields, the header has 2"),
        ("who,n\n\"a\nb\",1\nb,2,\n", "record 2 (line 4): it has 3 fields, the header has 2"),
        ("who,n\na,\n", "record 1 (line 2): \"\" in column \"n\" is not a number such as 1234.56"),
        (
            "who,n\r\n\r\na,\"1,5\"\r\n",
            "record 1 (line 3): \"1,5\" in column \"n\" is not a number such as 1234.56",
        ),
        ("who,n\na,0.1234567\n", "record 1 (line 2): \"0.1234567\" in column \"n\" has more than 6 digits"),
        ("who,n\na,\u{1b}[31m\n", "record 1 (line 2): \"\\u{1b}[31m\" in column"),
    ] {
        let mut tally = Tally::new(&job());
        let failure = tally.read(text.as_bytes()).and_then(|()| tally.end()).unwrap_err();
        assert!(failure.reason().starts_with(reason), "{failure}");
        assert_eq!(failure.kind(), drumline::run::FailureKind::Reject);
    }
    let failure = Tally::new(&job()).read(b"who,n\n\xff,1\n").unwrap_err();
    assert!(failure.reason().contains("is not UTF-8"), "{failure}");
    let long = format!("{}\n", vec!["x".repeat(50); 30].join(","));
    let failure = Tally::new(&job()).read(long.as_bytes()).unwrap_err();
    assert!(failure.reason().len() < 1024 && failure.reason().ends_with(", …"), "{failure}");
}

#[test]
fn a_header_alone_makes_an_empty_report() {
    for text in ["who,n", "who,n\n"] {
        let (csv, html) = outputs(unbroken(text.as_bytes()));
        assert_eq!(csv, "who,count,sum,min,max,mean\n");
        assert!(html.contains("0 records in 0 groups") && !html.contains("<svg"), "{html}");
    }
}
