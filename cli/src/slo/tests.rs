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
    assert_eq!(
        parsed.notes(),
        [
            r#""99.5% of within of over within 2m over 28d": the job type is "within of over", with its spaces"#
        ]
    );
    assert_eq!(target(EMAIL).notes(), Vec::<String>::new());
}

#[test]
fn a_time_between_two_bounds_is_counted_up_to_the_next() {
    let notes = target("99% of email.send within 90s over 30d").notes();
    let [note] = &notes[..] else { panic!("{notes:?}") };
    assert!(note.contains("no bucket ends at 1m30s") && note.ends_with("the next bound, 2m"), "{note}");
    let document = prometheus::rules(&[target("99% of a within 90s over 30d")], None).unwrap();
    assert!(document.contains("#   \"99% of a within 1m30s over 30d\": no bucket"), "{document}");
    assert!(document.contains("le=\"120.0\""), "{document}");
}

#[test]
fn a_bad_target_is_refused_with_what_to_do() {
    let long = format!("99% of {} within 2m over 30d", "a".repeat(257));
    let table = [
        ("", "must be like"),
        ("99% within 2m over 30d", r#"" of JOB TYPE" is missing"#),
        ("99% of a over 30d", r#"" within TIME", such as " within 2m", is missing"#),
        ("email.send within 2m", r#"" of JOB TYPE" is missing"#),
        ("99% of email.send within 2m", r#"" over PERIOD", such as " over 30d", is missing"#),
        ("99 of a within 2m over 30d", "the % of the share is missing"),
        ("99% of  within 2m over 30d", "the job type is missing"),
        ("99% of within 2m over 30d", "the job type is missing"),
        (&*long, "at most 256 bytes"),
        ("99% of {{a}} within 2m over 30d", "no {{"),
        ("100% of a within 2m over 30d", "leaves no job that may miss the target"),
        ("101% of a within 2m over 30d", "leaves no job that may miss the target"),
        ("99.99999999999999999% of a within 2m over 30d", "leaves no job that may miss the target"),
        ("99.99999% of a within 2m over 30d", "99.9999% at most"),
        ("0% of a within 2m over 30d", "is always met"),
        ("NaN% of a within 2m over 30d", "no decimal number"),
        ("-5% of a within 2m over 30d", "no decimal number"),
        ("1e1% of a within 2m over 30d", "no decimal number"),
        ("99,9% of a within 2m over 30d", "no decimal number such as 99.9"),
        ("99% of a within 0 over 30d", "the time must be more than 0"),
        ("99% of a within 0s over 30d", "the time must be more than 0"),
        ("99% of a within 1ns over 30d", "whole milliseconds"),
        ("99% of a within soon over 30d", "the time \"soon\" is no duration such as 2m"),
        ("99% of a within 2d over 30d", "counted up to 1d: set a time up to 1d"),
        ("99% of a within 2m over 0d", "the period must be more than 0"),
        ("99% of a within 2m over 30", "the period \"30\" is no duration"),
        ("99% of a within 2m over 6d", "from 7d to 90d"),
        ("99% of a within 2m over 1M", "such as 30d, and is 30d10h"),
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
fn a_queue_is_given_by_its_name() {
    for name in ["emails", "Emails_2-x", "emails.fifo"] {
        assert_eq!(queue_name(name).unwrap(), name);
    }
    let long = "a".repeat(81);
    for (text, expected) in [
        ("https://sqs.eu-central-1.amazonaws.com/123456789012/emails", "not its URL or ARN: emails"),
        ("arn:aws:sqs:eu-central-1:123456789012:emails.fifo", "not its URL or ARN: emails.fifo"),
        ("", "up to 80 letters"),
        ("e mails", "up to 80 letters"),
        (".fifo", "up to 80 letters"),
        ("https://example.org/", "up to 80 letters"),
        (&*long, "up to 80 letters"),
    ] {
        let error = queue_name(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn a_target_is_given_once() {
    let args = |targets: &[&str]| SloArgs {
        targets: targets.iter().map(|text| target(text)).collect(),
        queue: None,
        format: Format::Prometheus,
    };
    let error = slo(&args(&[EMAIL, "99 % of email.send within 120s over 30 days"])).unwrap_err();
    assert!(error.to_string().contains("is given twice"), "{error}");
}

#[test]
fn each_alarm_exists_once_and_references_existing_resources() {
    let targets = [target(EMAIL), target("99% of email-send within 5m over 30d")];
    let text = cloudwatch::template(&targets, "emails").unwrap();
    let template: Value = serde_norway::from_str(&text).unwrap();
    let resources = template["Resources"].as_object().unwrap();
    // For each target: 4 rates with two windows and a composite alarm, and the failing share; in addition, two alarms of the
    // queue.
    assert_eq!(resources.len(), 2 * (4 * 3 + 1) + 2, "{text}");
    // The parts of composite alarms notify no one, so their names are no outputs.
    assert_eq!(template["Outputs"].as_object().unwrap().len(), 2 * (4 + 1) + 2, "{text}");
    for (name, resource) in resources {
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{name}");
        let properties = &resource["Properties"];
        if let Some(rule) = properties["AlarmRule"]["Fn::Sub"].as_str() {
            let named = rule.split("${").skip(1).filter_map(|rest| rest.split_once('}'));
            assert_eq!(named.filter(|(name, _)| resources.contains_key(*name)).count(), 2, "{rule}");
            continue;
        }
        let periods: BTreeSet<u64> = properties["Metrics"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|metric| metric["MetricStat"]["Period"].as_u64())
            .collect();
        assert_eq!(periods.len(), 1, "an alarm has one period: {properties}");
    }
    let names: BTreeSet<&str> =
        resources.values().filter_map(|of| of["Properties"]["AlarmName"]["Fn::Sub"].as_str()).collect();
    assert_eq!(names.len(), resources.len(), "{names:?}");
}

/// The targets that make the largest documents.
fn longest() -> [Target; 2] {
    [target(EMAIL), target(&format!("99.9999% of {} within 90s over 90d", "w".repeat(256)))]
}

/// The limits of [`PutMetricAlarm`](https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html),
/// [`MetricDataQuery`](https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataQuery.html) and
/// [CloudFormation](https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html).
#[test]
fn alarms_are_within_the_limits_of_cloudwatch() {
    let queue = "q".repeat(80);
    let text = cloudwatch::template(&longest(), &queue).unwrap();
    assert!(text.contains("Threshold: '0.000003'"), "{text}");
    let mut thresholds = text.lines().filter_map(|line| line.trim().strip_prefix("Threshold: "));
    assert!(thresholds.all(|threshold| !threshold.contains('e')), "{text}");
    let template: Value = serde_norway::from_str(&text).unwrap();
    let length = |value: &Value| value.get("Fn::Sub").unwrap_or(value).as_str().unwrap().len();
    for (name, resource) in template["Resources"].as_object().unwrap() {
        let properties = &resource["Properties"];
        assert!(name.len() <= 255, "{name}");
        assert!(length(&properties["AlarmName"]) + queue.len() <= 255, "{properties}");
        assert!(length(&properties["AlarmDescription"]) <= 1024, "{properties}");
        if resource["Type"] == "AWS::CloudWatch::CompositeAlarm" {
            continue;
        }
        let queries = properties["Metrics"].as_array().unwrap();
        let ids: BTreeSet<&str> = queries.iter().map(|query| query["Id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), queries.len(), "{properties}");
        assert!(ids.iter().all(|id| id.starts_with(|c: char| c.is_ascii_lowercase())), "{ids:?}");
        let returned: Vec<&Value> = queries.iter().filter(|query| query["ReturnData"] == true).collect();
        assert!(matches!(returned[..], [one] if one["Expression"].is_string()), "{properties}");
        let (metrics, expressions): (Vec<&Value>, Vec<&Value>) =
            queries.iter().partition(|query| query["MetricStat"].is_object());
        assert!((1..=10).contains(&metrics.len()) && expressions.len() <= 10, "{properties}");
        assert!(expressions.iter().all(|query| length(&query["Expression"]) <= 1024), "{properties}");
        let period = metrics[0]["MetricStat"]["Period"].as_u64().unwrap();
        let range = period * properties["EvaluationPeriods"].as_u64().unwrap();
        assert_eq!(period % 60, 0, "{properties}");
        assert!(range <= if period < 3600 { 86_400 } else { 604_800 }, "{properties}");
        let threshold = &properties["Threshold"];
        let threshold = threshold.as_f64().unwrap_or_else(|| threshold.as_str().unwrap().parse().unwrap());
        assert!((0.0..1.0).contains(&threshold), "{properties}");
        assert_eq!(
            threshold == 0.0,
            name.starts_with("Polling") || name.starts_with("DeadLetters"),
            "{name}"
        );
    }
    let many: Vec<Target> =
        (0..39).map(|index| target(&format!("99% of type{index} within 2m over 30d"))).collect();
    let error = cloudwatch::template(&many, "emails").unwrap_err();
    assert!(error.to_string().contains("list fewer targets"), "{error}");
}

#[test]
fn each_target_has_all_of_its_alarms() {
    let of = |job_type: &str| target(&format!("99% of {job_type} within 2m over 30d"));
    let alarms = |targets: &[Target]| {
        cloudwatch::template(targets, "emails").unwrap().matches("Type: AWS::CloudWatch::").count()
    };
    let of_queue = 2;
    let of_one = alarms(&[of("job")]) - of_queue;
    // The names of the first and of the eleventh would be the same by type and number.
    let types = ["job1", "a", "b", "c", "d", "e", "f", "g", "h", "i", "job"];
    assert_eq!(alarms(&types.map(of)), types.len() * of_one + of_queue);
}

/// The rules' crate evaluates these alarms on a model of CloudWatch.
#[test]
fn the_alarms_of_the_model_are_the_generated_ones() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/rules/tests/cloudwatch/slo.yaml");
    let generated = cloudwatch::template(&[target(EMAIL)], "emails").unwrap();
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        generated,
        "renew it: drumline slo --target '{EMAIL}' --queue emails --format cloudwatch > {path}"
    );
}

/// The requirements of an import into Grafana.
#[test]
fn a_dashboard_can_be_imported_into_grafana() {
    for targets in [vec![target(EMAIL)], longest().into()] {
        let text = grafana::dashboard(&targets, Some("emails")).unwrap();
        let dashboard: Value = serde_json::from_str(&text).unwrap();
        let (uid, title) = (dashboard["uid"].as_str().unwrap(), dashboard["title"].as_str().unwrap());
        assert!(uid.len() <= 40 && uid.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{uid}");
        assert!((1..=189).contains(&title.chars().count()), "{title}");
        // An ID is of one installation.
        assert!(dashboard.get("id").is_none() && dashboard.get("version").is_none(), "{text}");
        // Grafana 9; newer versions migrate it.
        assert_eq!(dashboard["schemaVersion"], 36);
        let variable = &dashboard["templating"]["list"][0];
        assert_eq!(
            (&variable["name"], &variable["type"], &variable["query"]),
            (&"datasource".into(), &"datasource".into(), &"prometheus".into())
        );
        let source = serde_json::json!({ "type": "prometheus", "uid": "${datasource}" });
        let panels = dashboard["panels"].as_array().unwrap();
        assert_eq!(panels.len(), 6 * targets.len() + 4);
        let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.len(), panels.len());
        let mut cells = BTreeSet::new();
        for panel in panels {
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|at| panel["gridPos"][at].as_u64().unwrap());
            assert!(x + w <= 24 && w > 0 && h > 0, "{panel}");
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(cells.insert(cell), "{cell:?} is taken: {panel}");
            }
            assert!((&panel["type"], &panel["datasource"]) == (&"timeseries".into(), &source), "{panel}");
            let queries = panel["targets"].as_array().unwrap();
            let letters: BTreeSet<&str> =
                queries.iter().map(|query| query["refId"].as_str().unwrap()).collect();
            assert!(!queries.is_empty() && letters.len() == queries.len(), "{panel}");
            for query in queries {
                assert!(!query["expr"].as_str().unwrap().is_empty(), "{panel}");
                assert_eq!(query["datasource"], source);
            }
        }
    }
}

#[test]
fn a_dashboard_of_other_targets_is_another_one() {
    let uid = |targets: &[Target], queue| {
        let dashboard: Value = serde_json::from_str(&grafana::dashboard(targets, queue).unwrap()).unwrap();
        dashboard["uid"].as_str().unwrap().to_owned()
    };
    let one = [target(EMAIL)];
    assert_eq!(uid(&one, None), uid(&one, None));
    let all = [uid(&one, None), uid(&one, Some("emails")), uid(&longest(), None)];
    assert_eq!(BTreeSet::from(all).len(), 3);
}
