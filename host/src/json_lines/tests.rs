#![allow(clippy::unwrap_used)]
use serde_json::{Value, json};
use tracing::field::Empty;
use tracing::{debug, error, info, info_span, warn};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::log_lines::Lines;

const ODD: &str = "a \"quoted\" \\ and\nbroken\u{1} \u{7f} \u{85} ä \u{1F600}";

fn emit() {
    info!("no fields");
    let missing: Option<&str> = None;
    warn!(queue = "jobs", "type" = ODD, missing, count = 3_u32, left = -1, half = 0.5, fifo = true, "{ODD}");
    error!(error = %std::io::Error::other(ODD), place = ?Some(ODD), wide = u128::MAX, nan = f64::NAN, whole = 1.0);
    error!(error = &std::io::Error::other(ODD) as &dyn std::error::Error, ODD);
    debug!(target: "odd \"target\"", "elsewhere");
    let span = info_span!(
        "attempt",
        message_id = ODD,
        attempt = 3_u32,
        left = -1,
        half = 0.5,
        fifo = true,
        place = ?Some(1),
        ending = Empty
    );
    span.in_scope(|| info!("inside"));
    span.record("ending", "done");
    span.in_scope(|| info!("inside, with an ending"));
    span.record("ending", ODD);
    span.in_scope(|| {
        info!("inside, with another ending");
        let inner = info_span!("empty", ending = Empty);
        inner.in_scope(|| info!(message_id = "own", "inside both"));
        inner.record("ending", "late");
        inner.in_scope(|| info!("inside both"));
    });
}

/// With parents that are not entered. The stock formatter lists the entered spans then.
fn emit_with_parents() {
    let span = info_span!("attempt", message_id = "m");
    let inner = span.in_scope(|| info_span!("inner", step = 1));
    info!(parent: &span, "inside the outer one");
    info!(parent: &inner, "inside both");
}

/// Returns what both formatters make of the same events: ours, and the stock one.
fn by_both(spans: Spans, emit: fn()) -> (Vec<Value>, Vec<Value>) {
    let (ours, stock) = (Lines::default(), Lines::default());
    let (to_ours, to_stock) = (ours.clone(), stock.clone());
    let all = spans == Spans::All;
    let layer = fmt::layer().json().flatten_event(true).with_span_list(all).with_current_span(!all);
    let subscriber = tracing_subscriber::registry()
        .with(JsonLines::new(spans, move || to_ours.clone()))
        .with(layer.with_writer(move || to_stock.clone()));
    tracing::subscriber::with_default(subscriber, emit);
    (parsed(&ours), parsed(&stock))
}

fn parsed(lines: &Lines) -> Vec<Value> {
    let without_time = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
        assert!(time.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{time}");
        line
    };
    lines.text().lines().map(without_time).collect()
}

#[test]
fn lines_are_those_of_the_stock_formatter() {
    for (spans, emit, count) in [
        (Spans::Innermost, emit as fn(), 10),
        (Spans::All, emit, 10),
        (Spans::Innermost, emit_with_parents, 2),
    ] {
        let (ours, stock) = by_both(spans, emit);
        assert_eq!(ours, stock, "{spans:?}");
        assert_eq!(ours.len(), count);
    }
}

#[test]
fn the_spans_of_a_line_are_its_parents_in_order() {
    let (lines, _) = by_both(Spans::All, emit_with_parents);
    let (outer, inner) =
        (json!({ "message_id": "m", "name": "attempt" }), json!({ "step": 1, "name": "inner" }));
    assert_eq!((&lines[0]["spans"], &lines[1]["spans"]), (&json!([outer]), &json!([outer, inner])));
}

#[test]
fn a_line_has_its_fields_in_order() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber =
        tracing_subscriber::registry().with(JsonLines::new(Spans::Innermost, move || writer.clone()));
    tracing::subscriber::with_default(subscriber, || {
        let _span = info_span!("attempt", queue = "jobs").entered();
        info!(count = 1, "inside");
    });
    let line = lines.text();
    let (time, rest) = line.split_once(",\"level\"").unwrap();
    assert!(time.starts_with("{\"timestamp\":\"2"), "{time}");
    let target = json!(module_path!());
    assert_eq!(
        rest,
        format!(
            ":\"INFO\",\"message\":\"inside\",\"count\":1,\"target\":{target},\"span\":{{\"queue\":\"jobs\",\"name\":\"attempt\"}}}}\n"
        )
    );
}
