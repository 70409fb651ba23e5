//! The values of all metrics, read from the text of `/metrics`: the registry shows its families in no other way.

use super::distribution::Distribution;

/// Labels with their values.
type Labels = Vec<(String, String)>;

/// A metric with one set of labels.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// The name at `/metrics`, without the endings of a histogram's parts.
    pub(crate) name: String,
    pub(crate) labels: Labels,
}

/// A value since the start of the process.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SeriesValue {
    Counter(f64),
    Gauge(f64),
    Histogram(Distribution),
}

/// Reads the `OpenMetrics` text of the consumer's own registry.
pub(crate) fn read(text: &str) -> Vec<(Key, SeriesValue)> {
    let mut all = Vec::new();
    let mut kind = "";
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            kind = comment.strip_prefix("TYPE ").and_then(|named| named.rsplit(' ').next()).unwrap_or(kind);
        } else if let Some((key, value)) = sample(line) {
            match kind {
                "counter" => all.push((key, SeriesValue::Counter(value))),
                "gauge" => all.push((key, SeriesValue::Gauge(value))),
                _ => add_part(&mut all, key, value),
            }
        }
    }
    all
}

/// Adds a line of a histogram. They come in the order sum, count, buckets.
fn add_part(all: &mut Vec<(Key, SeriesValue)>, Key { name, mut labels }: Key, value: f64) {
    if let Some(name) = name.strip_suffix("_sum") {
        let distribution = Distribution { sum: value, buckets: Vec::new() };
        all.push((Key { name: name.to_owned(), labels }, SeriesValue::Histogram(distribution)));
    } else if name.ends_with("_bucket")
        && let Some((_, SeriesValue::Histogram(distribution))) = all.last_mut()
    {
        let bound = labels.iter().position(|(label, _)| label == "le").map(|index| labels.swap_remove(index));
        let bound = bound.and_then(|(_, bound)| bound.parse().ok()).unwrap_or(f64::INFINITY);
        let below: u64 = distribution.buckets.iter().map(|(_, count)| count).sum();
        distribution.buckets.push((bound, whole(value).saturating_sub(below)));
    }
}

/// The count of a bucket as the number that it is.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is encoded from a u64")]
fn whole(count: f64) -> u64 {
    count as u64
}

/// Splits `name{label="value",…} number`.
pub(super) fn sample(line: &str) -> Option<(Key, f64)> {
    let (head, value) = line.rsplit_once(' ')?;
    let (name, labels) = head.split_once('{').unwrap_or((head, "}"));
    Some((Key { name: name.to_owned(), labels: read_labels(labels)? }, value.parse().ok()?))
}

/// Reads `label="value",…}` with its escapes.
fn read_labels(mut text: &str) -> Option<Labels> {
    let mut labels = Vec::new();
    while let Some((label, rest)) = text.split_once("=\"") {
        let mut value = String::new();
        let mut chars = rest.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => match chars.next()? {
                    'n' => value.push('\n'),
                    escaped => value.push(escaped),
                },
                other => value.push(other),
            }
        }
        labels.push((label.trim_start_matches(',').to_owned(), value));
        text = chars.as_str();
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::metrics::histogram::Histogram;
    use prometheus_client::registry::Registry;

    use super::*;

    fn label(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn counters_gauges_and_histograms_are_read_with_their_labels() {
        let mut registry = Registry::default();
        let jobs = Family::<Labels, Counter>::default();
        registry.register("jobs", "Jobs, {all} of them", jobs.clone());
        let strange = vec![label("queue", "a \"b\"\\\n{c} 1"), label("type", "x,y=\"z\"")];
        jobs.get_or_create(&strange).inc_by(2);
        let depth = Gauge::<i64>::default();
        registry.register("depth", "Depth", depth.clone());
        depth.set(-3);
        let seconds: Family<Labels, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new([0.5, 1.0]));
        registry.register("seconds", "Seconds", seconds.clone());
        let of_a = seconds.get_or_create(&vec![label("type", "a")]).clone();
        for second in [0.25, 0.75, 0.875, 8.0] {
            of_a.observe(second);
        }
        let mut text = String::new();
        encode(&mut text, &registry).expect("writing to a string does not fail");
        let buckets = vec![(0.5, 1), (1.0, 2), (f64::INFINITY, 1)];
        let key = |name: &str, labels| Key { name: name.to_owned(), labels };
        let expected = [
            (key("jobs_total", strange), SeriesValue::Counter(2.0)),
            (key("depth", Vec::new()), SeriesValue::Gauge(-3.0)),
            (
                key("seconds", vec![label("type", "a")]),
                SeriesValue::Histogram(Distribution { sum: 9.875, buckets }),
            ),
        ];
        assert_eq!(read(&text), expected, "{text}");
    }
}
