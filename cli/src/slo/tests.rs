#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::*;

fn target(text: &str) -> Target {
    text.parse().unwrap()
}

fn refused(text: &str) -> String {
    text.parse::<Target>().unwrap_err()
}

const EMAIL: &str = "99% of email.send within 2m over 30d";

#[test]
fn a_target_is_a_share_of_a_type_a_time_and_a_period() {
    let parsed = target("99.5 % of within of over within 2 min over 28 days");
    assert_eq!(parsed.to_string(), "99.5% of within of over within 2m over 28d");
    assert_eq!(parsed.job_type, "within of over");
    assert_eq!(target(EMAIL).bound.to_bits(), 120.0_f64.to_bits());
    assert_eq!(target(EMAIL).note(), None);
}

#[test]
fn a_time_between_two_bounds_is_counted_up_to_the_next() {
    let note = target("99% of email.send within 90s over 30d").note().unwrap();
    assert!(note.contains("no bucket ends at 1m30s") && note.ends_with("the next bound, 2m"), "{note}");
    let document = prometheus::rules(&[target("99% of a within 90s over 30d")], None).unwrap();
    assert!(document.contains("#   \"99% of a within 1m30s over 30d\": no bucket"), "{document}");
    assert!(document.contains("le=\"120.0\""), "{document}");
}

#[test]
fn a_bad_target_is_refused_with_what_to_do() {
    let table = [
        ("email.send within 2m", "must be like"),
        ("99 of a within 2m over 30d", "must be like"),
        ("99% of  within 2m over 30d", "is no job type"),
        ("100% of a within 2m over 30d", "between 0% and 100%"),
        ("NaN% of a within 2m over 30d", "between 0% and 100%"),
        ("99% of a within 0s over 30d", "more than 0"),
        ("99% of a within soon over 30d", "is no time such as 2m"),
        ("99% of a within 2d over 30d", "counted up to 1d: set a time up to 1d"),
        ("99% of a within 2m over 6d", "from 7d to 90d"),
        ("90% of a within 2m over 30d", "set a share above 93.1%"),
    ];
    for (text, expected) in table {
        let error = refused(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn burn_rates_are_those_of_the_sre_workbook_for_thirty_days() {
    let rates = |text: &str| -> Vec<String> {
        target(text)
            .burns()
            .iter()
            .map(|burn| format!("{} {}", burn.long.text, burn::number(burn.factor)))
            .collect()
    };
    assert_eq!(rates(EMAIL), ["1h 14.4", "6h 6", "1d 3", "3d 1"]);
    assert_eq!(rates("99% of a within 2m over 7d"), ["1h 3.36", "6h 1.4"], "slower ones never spend it");
    let limits: Vec<String> = target(EMAIL).burns().iter().map(|burn| burn::number(burn.limit)).collect();
    assert_eq!(limits, ["0.144", "0.06", "0.03", "0.01"]);
    assert!(
        target(EMAIL)
            .burns()
            .iter()
            .all(|burn| Duration::from_secs(burn.long.seconds.into()) <= target(EMAIL).over)
    );
}

/// Returns the names of metrics in a document.
fn metrics_in(document: &str) -> BTreeSet<String> {
    let words = document.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    words.filter(|word| word.starts_with("drumline_")).map(str::to_owned).collect()
}

/// Returns the names of a worker's series from the metrics page. Another test checks that the page is complete.
fn known_metrics() -> BTreeSet<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let names = metrics_in(&std::fs::read_to_string(page).unwrap());
    let series = |name: String| ["", "_bucket", "_count", "_sum"].map(|end| format!("{name}{end}"));
    names.into_iter().flat_map(series).collect()
}

#[test]
fn all_documents_use_metrics_that_a_worker_has() {
    let targets = [target(EMAIL), target("99.9% of image.resize within 90s over 28d")];
    let known = known_metrics();
    for document in [
        prometheus::rules(&targets, None).unwrap(),
        prometheus::rules(&targets, Some("emails")).unwrap(),
        cloudwatch::template(&targets, "emails").unwrap(),
        grafana::dashboard(&targets, Some("emails")).unwrap(),
    ] {
        let used = metrics_in(&document);
        assert!(used.len() >= 2, "{document}");
        let unknown: Vec<_> = used.difference(&known).collect();
        assert!(unknown.is_empty(), "{unknown:?} in\n{document}");
    }
}

#[test]
fn each_alarm_exists_once_and_references_existing_resources() {
    let targets = [target(EMAIL), target("99% of email-send within 5m over 30d")];
    let text = cloudwatch::template(&targets, "emails").unwrap();
    let template: Value = serde_norway::from_str(&text).unwrap();
    let resources = template["Resources"].as_object().unwrap();
    // For each target: 3 rates with two windows and a composite alarm, and the failing share; in addition, two alarms of the
    // queue.
    assert_eq!(resources.len(), 2 * (3 * 3 + 1) + 2, "{text}");
    for (name, resource) in resources {
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{name}");
        let properties = &resource["Properties"];
        if let Some(rule) = properties["AlarmRule"]["Fn::Sub"].as_str() {
            let named = rule.split("${").skip(1).filter_map(|rest| rest.split_once('}'));
            assert_eq!(named.filter(|(name, _)| resources.contains_key(*name)).count(), 2, "{rule}");
            continue;
        }
        let metrics = properties["Metrics"].as_array().unwrap();
        let periods: BTreeSet<u64> =
            metrics.iter().filter_map(|metric| metric["MetricStat"]["Period"].as_u64()).collect();
        assert_eq!(periods.len(), 1, "an alarm has one period: {properties}");
        let evaluations = properties["EvaluationPeriods"].as_u64().unwrap();
        assert!(periods.iter().all(|period| period * evaluations <= 86_400), "{properties}");
        assert_eq!(metrics.iter().filter(|metric| metric["ReturnData"] == true).count(), 1);
    }
    let names: BTreeSet<&str> =
        resources.values().filter_map(|of| of["Properties"]["AlarmName"]["Fn::Sub"].as_str()).collect();
    assert_eq!(names.len(), resources.len(), "{names:?}");
}

#[test]
fn a_dashboard_has_panels_with_queries_that_do_not_overlap() {
    let text = grafana::dashboard(&[target(EMAIL)], None).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert_eq!(panels.len(), 10);
    let places: BTreeSet<String> = panels.iter().map(|panel| panel["gridPos"].to_string()).collect();
    assert_eq!(places.len(), panels.len());
    assert!(
        panels.iter().all(|panel| panel["targets"].as_array().is_some_and(|targets| !targets.is_empty()))
    );
}
