#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

fn page(title: &str, groups: &[(&str, i64)]) -> String {
    let payload = json!({
        "source": "file:///s.csv", "target": "file:///t", "groupBy": "who", "value": "n", "title": title,
    });
    let mut summary = Summary::new("who".into(), "n".into());
    summary.decimals = 2;
    for (name, millionths) in groups {
        summary.totals.add(name, *millionths).unwrap();
        summary.records += 1;
    }
    html(&serde_json::from_value(payload).unwrap(), &summary).unwrap()
}

#[test]
fn all_that_was_read_is_escaped() {
    let evil = "</title><script>alert(1)</script>\" onload='x' &amp;";
    let page = page(evil, &[(evil, 1_000_000)]);
    for part in ["<script", "' onload", "onload='", "&amp; "] {
        assert!(!page.contains(part), "{part} in {page}");
    }
    assert_eq!(page.matches("&lt;script&gt;").count(), 7, "{page}");
    assert_eq!(page.matches("&amp;amp;").count(), 6, "{page}");
}

#[test]
fn the_page_needs_nothing_else() {
    let page = page("Sales", &[("a", 1)]);
    for part in ["http://", "https://", "src=", "@import", "url(", "<script"] {
        assert!(!page.contains(part), "{part} in {page}");
    }
    for part in [
        "role=\"img\"",
        "<title id=\"chart-title\">",
        "lang=\"en\"",
        "scope=\"row\"",
        "<caption>",
        "width=device-width",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
}

#[test]
fn bars_begin_at_nought() {
    let mut summary = Summary::new("who".into(), "n".into());
    for (name, millions) in [("gain", 3), ("loss", -1), ("none", 0)] {
        summary.totals.add(name, millions * 1_000_000).unwrap();
    }
    let bars: Vec<_> =
        bars(&summary).into_iter().map(|bar| (bar.name, bar.left, bar.width, bar.negative)).collect();
    let bar = |name: &str, left: &str, width: &str, negative| {
        (name.to_owned(), left.to_owned(), width.to_owned(), negative)
    };
    assert_eq!(
        bars,
        [
            bar("gain", "25.00%", "75.00%", false),
            bar("none", "25.00%", "0.00%", false),
            bar("loss", "0.00%", "25.00%", true),
        ]
    );
}

#[test]
fn the_chart_has_the_largest_and_the_table_all() {
    let names: Vec<String> = (0..40).map(|n| format!("group {n:02}")).collect();
    let groups: Vec<(&str, i64)> =
        names.iter().map(|name| &**name).zip((0..).map(|n| n * 1_000_000)).collect();
    let page = page("Many", &groups);
    assert!(page.contains("30 of 40, those farthest from zero; the table has all."), "{page}");
    assert_eq!((page.matches("<rect").count(), page.matches("scope=\"row\"").count()), (30, 41));
    assert!(
        page.contains("<desc id=\"chart-text\">Bars from group 39 with 39.00 to group 10 with 10.00."),
        "{page}"
    );
}

#[test]
fn what_is_shown_is_short_and_readable() {
    for (name, expected) in [
        ("Norway", "Norway"),
        ("exactly 22 characters!", "exactly 22 characters!"),
        ("a name that is far too long", "a name that is far to…"),
    ] {
        assert_eq!(label(name), expected);
    }
    assert_eq!(shown(" "), "(empty)");
    for (number, expected) in
        [("0", "0"), ("999", "999"), ("1000", "1,000"), ("-1234567.891", "−1,234,567.891"), ("-0.5", "−0.5")]
    {
        assert_eq!(grouped(number), expected);
    }
}
