#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use drumline::core::{Ending, LedgerEvent, Outcome};
use drumline::run::Event;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::*;
use crate::every_event::{QUEUE, TYPE, emit_decided, emit_every_event, emit_note};
use crate::metrics::series::{SeriesValue, read};

/// The time between two rounds in tests: the clock is real, because lines are written on their own thread.
const SOON: Duration = Duration::from_millis(20);

/// The time by which every test has ended.
const LATE: Duration = Duration::from_secs(20);

/// The lines of each round.
type Written = Arc<Mutex<Vec<Vec<Value>>>>;

fn start(metrics: &Metrics) -> (Emf, Depths, Written) {
    let written = Written::default();
    let rounds = Arc::clone(&written);
    let print = move |lines: EmfLines| rounds.lock().unwrap().push(lines.json(Duration::ZERO));
    let depths = Depths::new(metrics.clone(), Arc::new(metrics.clone()));
    (Emf::start_every(SOON, metrics.clone(), depths.clone(), Arc::new(print)), depths, written)
}

/// Returns the lines of one round.
fn round(rounds: &mut Rounds, metrics: &Metrics) -> Vec<Value> {
    rounds.next(&metrics.encode()).json(Duration::ZERO)
}

/// Returns the sum and the count of a metric's values in one line.
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

/// Returns all values of a metric in the lines, by its labels in the order of their names.
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

#[tokio::test]
async fn lines_are_written_in_rounds_and_at_the_end() {
    let metrics = Metrics::new();
    let queue = metrics.queue(QUEUE);
    let (emf, _, written) = start(&metrics);
    let acks = || {
        let rounds = written.lock().unwrap();
        let totals = rounds.iter().flat_map(|lines| totals(lines, "drumline_jobs_total").into_values());
        totals.map(|(sum, _)| sum).sum::<f64>()
    };
    emit_decided(&queue, TYPE, Outcome::Ack, Ending::Done);
    timeout(LATE, async {
        while acks() < 0.9 {
            sleep(SOON).await;
        }
    })
    .await
    .unwrap();
    for _ in 0..3 {
        emit_decided(&queue, TYPE, Outcome::Ack, Ending::Done);
    }
    emf.stop(Instant::now() + LATE).await;
    assert!((acks() - 4.0).abs() < 0.1, "{}", acks());
}

#[test]
fn what_has_not_changed_is_not_counted_again() {
    let (metrics, mut rounds) = (Metrics::new(), Rounds::default());
    let queue = metrics.queue(QUEUE);
    let jobs = [1, 0, 3].map(|count| {
        for _ in 0..count {
            emit_decided(&queue, TYPE, Outcome::Ack, Ending::Done);
        }
        totals(&round(&mut rounds, &metrics), "drumline_jobs_total")
    });
    let acks = |count| BTreeMap::from([(["ack", QUEUE, TYPE].map(str::to_owned).to_vec(), (count, 1.0))]);
    assert_eq!(jobs, [acks(1.0), BTreeMap::new(), acks(3.0)]);
}

#[test]
fn gauges_are_in_every_round() {
    let (metrics, mut rounds) = (Metrics::new(), Rounds::default());
    let queue = metrics.queue(QUEUE);
    let in_hand = [3, 3, 0].map(|count| {
        queue.observe(&Event::InHand { queue: QUEUE, count });
        let lines = round(&mut rounds, &metrics);
        totals(&lines, "drumline_deliveries_in_hand").into_values().next()
    });
    assert_eq!(in_hand, [3.0, 3.0, 0.0].map(|n| Some((n, 1.0))));
}

#[test]
fn totals_are_those_of_the_registry() {
    let (metrics, mut rounds) = (Metrics::new(), Rounds::default());
    let queue = metrics.queue(QUEUE);
    let mut lines = Vec::new();
    for turn in 0..4 {
        emit_every_event(&queue);
        emit_decided(&queue, &format!("type{turn}"), Outcome::Ack, Ending::Done);
        emit_note(&queue, &LedgerEvent::Renewed(turn));
        lines.extend(round(&mut rounds, &metrics));
    }
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

#[tokio::test]
async fn a_queue_that_does_not_answer_does_not_delay_the_last_lines() {
    let metrics = Metrics::new();
    let queue = metrics.queue(QUEUE);
    let (emf, depths, written) = start(&metrics);
    let _unanswered = depths.block().await;
    emit_decided(&queue, TYPE, Outcome::Ack, Ending::Done);
    let before = loop {
        // A round that began earlier may end now; then one waits for the depth.
        let before = written.lock().unwrap().len();
        sleep(10 * SOON).await;
        if written.lock().unwrap().len() == before {
            break before;
        }
    };
    emf.stop(Instant::now() + LATE).await;
    assert_eq!(written.lock().unwrap().len(), before + 1);
}

#[test]
fn a_stalled_reader_delays_neither_stop_nor_runtime_end() {
    let (reader, stalled) = std::sync::mpsc::channel::<()>();
    let stalled = Mutex::new(stalled);
    let print = move |_: EmfLines| {
        let _ = stalled.lock().unwrap().recv();
    };
    let begun = std::time::Instant::now();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let metrics = Metrics::new();
        let depths = Depths::new(metrics.clone(), Arc::new(metrics.clone()));
        let emf = Emf::start_every(EVERY, metrics, depths, Arc::new(print));
        emf.stop(Instant::now() + Duration::from_millis(300)).await;
    });
    let (ended, end) = std::sync::mpsc::channel();
    // Dropping a runtime waits for its blocking work.
    std::thread::spawn(move || {
        drop(runtime);
        ended.send(()).unwrap();
    });
    assert_eq!(end.recv_timeout(Duration::from_secs(5)), Ok(()), "the runtime ends");
    assert!(begun.elapsed() < Duration::from_secs(5));
    drop(reader);
}
