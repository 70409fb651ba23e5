//! The template of `drumline slo`, deployed unchanged.

use std::collections::{BTreeMap, BTreeSet};

use drumline_tests::{Launch, Stack, alarms_of_stack};
use serde_json::Value;

const TARGET: &str = "99% of email.send within 2m over 30d";

/// Expects a value where LocalStack returns numbers as texts or numbers.
fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

/// Returns a list of LocalStack's responses.
fn list(value: &Value) -> Vec<Value> {
    match value.get("member").unwrap_or(value) {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        item => vec![item.clone()],
    }
}

#[tokio::test]
async fn the_alarms_of_a_target_are_deployed() {
    let name = format!("slo{:x}", fastrand::u32(..));
    let (queue, dlq) = (format!("{name}.fifo"), format!("{name}-dlq.fifo"));
    let slo = ["slo", "--target", TARGET, "--queue", &queue, "--format", "cloudwatch"];
    let finished = Launch::new(&slo).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let text = finished.stdout.join("\n") + "\n";
    let template: Value = serde_norway::from_str(&text).unwrap();
    // The queue is the default of its parameter.
    let stack = Stack::deploy_text(&name, &text, &[("DeadLetterQueueName", &dlq)]).await;
    let [metric_alarms, composite_alarms] = alarms_of_stack(&queue).await;
    let by_name: BTreeMap<String, &Value> = metric_alarms
        .iter()
        .chain(&composite_alarms)
        .map(|alarm| (alarm["AlarmName"].as_str().unwrap().to_owned(), alarm))
        .collect();
    assert_eq!((metric_alarms.len(), composite_alarms.len()), (11, 4), "{by_name:?}");
    let resources = template["Resources"].as_object().unwrap();
    let full_name = |id: &str| {
        let name = resources[id]["Properties"]["AlarmName"]["Fn::Sub"].as_str().unwrap();
        name.replace("${QueueName}", &queue)
    };
    for (id, resource) in resources {
        let (wanted, alarm) = (&resource["Properties"], by_name[&full_name(id)]);
        let actions = list(&alarm["AlarmActions"]);
        assert_eq!(actions.is_empty(), wanted["AlarmActions"].is_null(), "{alarm}");
        if !actions.is_empty() {
            assert_eq!(stack.output(&format!("{id}Name")), full_name(id));
        }
        if let Some(rule) = wanted["AlarmRule"]["Fn::Sub"].as_str() {
            let parts = rule.split("${").skip(1).filter_map(|rest| rest.split_once('}'));
            let rule = parts.fold(rule.to_owned(), |rule, (part, _)| {
                assert!(by_name.contains_key(&full_name(part)), "{part} does not exist");
                rule.replace(&format!("${{{part}}}"), &full_name(part))
            });
            assert_eq!(alarm["AlarmRule"], rule);
            continue;
        }
        for field in ["Threshold", "EvaluationPeriods"] {
            assert!((number(&alarm[field]) - number(&wanted[field])).abs() < 1e-9, "{field}: {alarm}");
        }
        assert_eq!(alarm["TreatMissingData"], "notBreaching");
        let queries = list(&alarm["Metrics"]);
        let ids = |queries: &[Value]| -> BTreeSet<(String, Option<String>)> {
            let text = |value: &Value| value.as_str().map(str::to_owned);
            queries.iter().map(|query| (text(&query["Id"]).unwrap(), text(&query["Expression"]))).collect()
        };
        assert_eq!(ids(&queries), ids(wanted["Metrics"].as_array().unwrap()), "{alarm}");
        for query in queries.iter().filter(|query| query["Expression"].is_null()) {
            let metric = &query["MetricStat"]["Metric"];
            let dimensions = list(&metric["Dimensions"]);
            let of_queue = dimensions.iter().find(|it| {
                it["Name"]
                    .as_str()
                    .is_some_and(|name| name.eq_ignore_ascii_case("queue") || name == "QueueName")
            });
            let value = of_queue.unwrap()["Value"].as_str().unwrap();
            assert!([&*queue, &dlq].contains(&value), "{query}");
        }
    }
    drop(stack);
}
