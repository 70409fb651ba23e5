#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use drumline::core::{Ending, LedgerEvent, Outcome};
use drumline::run::Event;
use serde_json::Value;
use tokio::time::sleep;

use super::*;
use crate::every_event::{QUEUE, TYPE, emit_decided, emit_every_event, emit_note};
use crate::metrics::series::{SeriesValue, read};

/// The lines of each round.
type Written = Arc<Mutex<Vec<Vec<Value>>>>;

fn start(metrics: &Metrics) -> (Emf, Written) {
    let written = Written::default();
    let rounds = Arc::clone(&written);
    let print = move |lines: EmfLines| rounds.lock().unwrap().push(lines.json(Duration::ZERO));
    let depths = Depths::new(metrics.clone(), Arc::new(metrics.clone()));
    (Emf::start_with(metrics.clone(), depths, Arc::new(print)), written)
}

/// The sum and the count of a metric's values in one line.
fn values(line: &Value, name: &str) -> Option<(f64, f64)> {
    let number = |value: &Value| value.as_f64().unwrap();
    match line.get(name)? {
        Value::Object(target) => {
            let (values, counts) =
                (target["Values"].as_array().unwrap(), target["Counts"].as_array().unwrap());
            let pairs = || values.iter().map(number).zip(counts.iter().map(number));
            Some((pairs().map(|(value, count)| value * count).sum(), counts.iter().map(number).sum()))
        }
        Value::Array(values) => Some((values.iter().map(number).sum(), values.iter().map(|_| 1.0).sum())),
        value => Some((number(value), 1.0)),
    }
}

/// All values of a metric in the lines, by its labels in the order of their names.
fn totals(lines: &[Value], name: &str) -> BTreeMap<Vec<String>, (f64, f64)> {
    let mut totals = BTreeMap::<_, (f64, f64)>::new();
    for line in lines {
        let Some((sum, count)) = values(line, name) else { continue };
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        let has = |directive: &&Value| {
            directive["Metrics"].as_array().unwrap().iter().any(|metric| metric["Name"] == name)
        };
        let dimensions = &directives.iter().find(has).unwrap()["Dimensions"][0];
        let label = |dimension: &Value| line[dimension.as_str().unwrap()].as_str().unwrap().to_owned();
        let labels: Vec<String> = dimensions.as_array().unwrap().iter().map(label).collect();
        let total = totals.entry(labels).or_default();
        *total = (total.0 + sum, total.1 + count);
    }
    totals
}

#[tokio::test(start_paused = true)]
async fn lines_are_written_every_minute_and_at_the_end() {
    let metrics = Metrics::new();
    let queue = metrics.queue(QUEUE);
    let (emf, written) = start(&metrics);
    emit_decided(&queue, TYPE, Outcome::Ack, Ending::Done);
    sleep(Duration::from_secs(59)).await;
    assert_eq!(written.lock().unwrap().len(), 0);
    sleep(Duration::from_secs(2)).await;
    sleep(Duration::from_secs(60)).await;
    for _ in 0..3 {
        emit_decided(&queue, TYPE, Outcome::Ack, Ending::Done);
    }
    emf.stop().await;
    let rounds = written.lock().unwrap();
    let jobs: Vec<_> = rounds.iter().map(|lines| totals(lines, "drumline_jobs_total")).collect();
    let acks = |count| BTreeMap::from([(["ack", QUEUE, TYPE].map(str::to_owned).to_vec(), (count, 1.0))]);
    assert_eq!(jobs, [acks(1.0), BTreeMap::new(), acks(3.0)], "what has not changed is not counted again");
}

#[tokio::test(start_paused = true)]
async fn gauges_are_in_every_round() {
    let metrics = Metrics::new();
    let queue = metrics.queue(QUEUE);
    let (emf, written) = start(&metrics);
    for count in [3, 3, 0] {
        queue.observe(&Event::InHand { queue: QUEUE, count });
        sleep(Duration::from_secs(61)).await;
    }
    emf.stop().await;
    let rounds = written.lock().unwrap();
    let in_hand = |lines: &Vec<Value>| totals(lines, "drumline_deliveries_in_hand").into_values().next();
    assert_eq!(rounds.iter().map(in_hand).collect::<Vec<_>>(), [3.0, 3.0, 0.0, 0.0].map(|n| Some((n, 1.0))));
}

#[tokio::test(start_paused = true)]
async fn totals_are_those_of_the_registry() {
    let metrics = Metrics::new();
    let queue = metrics.queue(QUEUE);
    let (emf, written) = start(&metrics);
    for turn in 0..4 {
        emit_every_event(&queue);
        emit_decided(&queue, &format!("type{turn}"), Outcome::Ack, Ending::Done);
        emit_note(&queue, &LedgerEvent::Renewed(turn));
        sleep(Duration::from_secs(40)).await;
    }
    emf.stop().await;
    let lines: Vec<Value> = written.lock().unwrap().iter().flatten().cloned().collect();
    let mut compared = 0;
    for (key, value) in read(&metrics.encode()) {
        let mut labels = key.labels;
        labels.sort();
        let labels: Vec<String> = labels.into_iter().map(|(_, value)| value).collect();
        let written = totals(&lines, &key.name).get(&labels).copied().unwrap_or_default();
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.abs().max(1.0);
        match value {
            SeriesValue::Gauge(_) => continue,
            SeriesValue::Counter(total) => assert!(near(written.0, total), "{} {labels:?}", key.name),
            SeriesValue::Histogram(total) => {
                let count: u64 = total.buckets.iter().map(|(_, count)| count).sum();
                assert!(near(written.0, total.sum), "{} {labels:?}: {written:?}", key.name);
                assert!((written.1 - f64::from(u32::try_from(count).unwrap())).abs() < 0.5, "{written:?}");
            }
        }
        compared += 1;
    }
    assert!(compared > 50, "{compared}");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_has_stopped_does_not_delay_the_end() {
    let metrics = Metrics::new();
    let (reader, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = Mutex::new(blocked);
    let print = move |_: EmfLines| {
        let _ = blocked.lock().unwrap().recv();
    };
    let depths = Depths::new(metrics.clone(), Arc::new(metrics.clone()));
    let emf = Emf::start_with(metrics, depths, Arc::new(print));
    tokio::time::resume();
    let begun = std::time::Instant::now();
    emf.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    drop(reader);
}
