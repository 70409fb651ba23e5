//! Dashboards with their parsed bodies. See
//! [the structure](https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html).

use serde_json::Value;

use super::metrics::Metric;
use crate::model::{Resource, Stack};
use crate::value::{items, plain};

/// A dashboard.
pub(crate) struct Dashboard<'a> {
    pub(crate) id: &'a str,
    pub(crate) resource: &'a Resource,
    /// The body as text, with tokens.
    pub(crate) text: String,
    pub(crate) body: Result<Value, String>,
}

/// The metrics that a dashboard shows.
#[derive(Default)]
pub(crate) struct Shown {
    pub(crate) metrics: Vec<Metric>,
    /// Expressions, with their titles and labels.
    pub(crate) expressions: Vec<(String, String)>,
}

/// Returns the dashboards of a stack. A body that is known only after the deployment is left out.
pub(crate) fn dashboards(stack: &Stack) -> Vec<Dashboard<'_>> {
    let bodies = stack.of_kind("AWS::CloudWatch::Dashboard").filter_map(|(id, resource)| {
        let text = plain(resource.get("/DashboardBody")?);
        (!crate::value::is_token(&text)).then_some((id, resource, text))
    });
    bodies
        .map(|(id, resource, text)| {
            let body = serde_json::from_str(&text).map_err(|error| error.to_string());
            Dashboard { id, resource, text, body }
        })
        .collect()
}

impl Dashboard<'_> {
    pub(crate) fn shown(&self) -> Shown {
        let mut shown = Shown::default();
        let Ok(body) = &self.body else { return shown };
        for widget in items(body.get("widgets")) {
            let properties = &widget["properties"];
            let title = plain(&properties["title"]);
            let mut previous = Vec::new();
            for row in items(properties.get("metrics")) {
                shown.add(&title, row, &mut previous);
            }
        }
        shown
    }
}

impl Shown {
    /// Adds a row: names, `.` for the name above, `...` for all remaining names above, and options.
    fn add(&mut self, title: &str, row: &Value, previous: &mut Vec<String>) {
        let row = items(Some(row));
        let options = row.iter().find(|item| item.is_object());
        if let Some(expression) = options.and_then(|options| options["expression"].as_str()) {
            let label = options.map(|options| plain(&options["label"])).unwrap_or_default();
            self.expressions.push((format!("{title} {label}"), expression.to_owned()));
            return;
        }
        let cells: Vec<&str> = row.iter().filter_map(Value::as_str).collect();
        let mut names = Vec::new();
        for (index, cell) in cells.iter().enumerate() {
            match *cell {
                "." => names.push(previous.get(names.len()).cloned().unwrap_or_default()),
                "..." => {
                    let left = cells.len() - index - 1;
                    let until = previous.len().saturating_sub(left).max(names.len());
                    names.extend(previous.iter().take(until).skip(names.len()).cloned().collect::<Vec<_>>());
                }
                name => names.push(name.to_owned()),
            }
        }
        if let [namespace, name, dimensions @ ..] = names.as_slice() {
            let dimensions = dimensions.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone()));
            let (namespace, name) = (namespace.clone(), name.clone());
            let pointer = "/DashboardBody".to_owned();
            self.metrics.push(Metric { namespace, name, dimensions: dimensions.collect(), pointer });
        }
        *previous = names;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_take_omitted_names_from_the_row_above() {
        let (mut shown, mut previous) = (Shown::default(), Vec::new());
        for row in [
            json!(["AWS/SQS", "Sent", "QueueName", "a", { "label": "x" }]),
            json!([".", "Deleted", ".", "."]),
            json!(["...", "b"]),
            json!([{ "expression": "m1 / m2", "label": "ratio" }]),
            json!([".", "Age", "...", "c"]),
        ] {
            shown.add("Title", &row, &mut previous);
        }
        let read = |metric: &Metric| {
            (metric.namespace.clone(), metric.name.clone(), metric.dimension("QueueName").map(str::to_owned))
        };
        let metric =
            |name: &str, queue: &str| ("AWS/SQS".to_owned(), name.to_owned(), Some(queue.to_owned()));
        let metrics: Vec<_> = shown.metrics.iter().map(read).collect();
        assert_eq!(
            metrics,
            [metric("Sent", "a"), metric("Deleted", "a"), metric("Deleted", "b"), metric("Age", "c")]
        );
        assert_eq!(shown.expressions, [("Title ratio".to_owned(), "m1 / m2".to_owned())]);
    }
}
