//! The formats of `/metrics`: `OpenMetrics`, and the text format of Prometheus for clients that do not prefer it. See
//! [Prometheus' formats](https://prometheus.io/docs/instrumenting/exposition_formats/).

use axum::http::{HeaderMap, header};

/// A format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// `OpenMetrics` 1.0, the only one with exemplars.
    OpenMetrics,
    /// The text format 0.0.4.
    Text,
}

impl Format {
    /// Returns the format that a client prefers. `OpenMetrics` must be named, and at least as welcome as plain text.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let (mut open_metrics, mut text, mut any) = (None, None, None);
        for range in accepted.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let named = match &*kind {
                "application/openmetrics-text" => &mut open_metrics,
                "text/plain" => &mut text,
                "text/*" | "*/*" => &mut any,
                _ => continue,
            };
            let quality = quality(parts);
            *named = Some(named.map_or(quality, |other: f32| other.max(quality)));
        }
        match open_metrics {
            Some(quality) if quality > 0.0 && quality >= text.or(any).unwrap_or_default() => {
                Self::OpenMetrics
            }
            _ => Self::Text,
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Returns the weight among the parameters of a media range. One that cannot be read counts as 1, as none does.
fn quality<'a>(mut parameters: impl Iterator<Item = &'a str>) -> f32 {
    let weight = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse().ok())?
    });
    weight.unwrap_or(1.0)
}

/// Returns an `OpenMetrics` text without exemplars in the text format. There the family of a counter has the name of its samples, and
/// there are no units and no end.
pub(super) fn text_format(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    // The kind of a family follows its help.
    let mut help = None;
    let mut add = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    for line in open_metrics.lines() {
        if let Some(family) = line.strip_prefix("# HELP ") {
            help = family.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let total = if kind == "counter" { "_total" } else { "" };
            if let Some((_, help)) = help.take().filter(|(of, _)| *of == name) {
                add(&format!("# HELP {name}{total} {help}"));
            }
            add(&format!("# TYPE {name}{total} {kind}"));
        } else if !line.starts_with("# ") {
            add(line);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    /// Of Prometheus 3, of Prometheus 2, and of Prometheus 2 with `--enable-feature=native-histograms`.
    const PROMETHEUS: [&str; 3] = [
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    ];

    fn format(accept: &str) -> Format {
        Format::of(&HeaderMap::from_iter([(header::ACCEPT, accept.parse().expect("a header"))]))
    }

    #[test]
    fn open_metrics_is_for_clients_that_prefer_it() {
        for accept in PROMETHEUS {
            assert_eq!(format(accept), Format::OpenMetrics, "{accept}");
        }
        for (accept, expected) in [
            ("text/plain, Application/OpenMetrics-Text", Format::OpenMetrics),
            ("application/openmetrics-text;q=0.5, text/plain;q=0.4", Format::OpenMetrics),
            ("application/openmetrics-text; version=1.0.0; Q=0.4, text/plain; q=0.5", Format::Text),
            ("application/openmetrics-text;q=0.5, */*", Format::Text),
            ("application/openmetrics-text;q=0, text/plain;q=0", Format::Text),
            ("text/plain;version=0.0.4", Format::Text),
            ("text/html,application/xml;q=0.9,*/*;q=0.8", Format::Text),
            ("*/*", Format::Text),
            ("", Format::Text),
        ] {
            assert_eq!(format(accept), expected, "{accept}");
        }
        assert_eq!(Format::of(&HeaderMap::new()), Format::Text);
    }

    #[test]
    fn counters_are_named_as_their_samples_in_the_text_format() {
        let open_metrics = "# HELP jobs Jobs.\n# TYPE jobs counter\njobs_total{queue=\"a\"} 2\n\
                            # HELP wait_seconds Waits.\n# TYPE wait_seconds histogram\n# UNIT wait_seconds seconds\n\
                            wait_seconds_sum 1.5\nwait_seconds_count 1\nwait_seconds_bucket{le=\"+Inf\"} 1\n# EOF\n";
        let text = "# HELP jobs_total Jobs.\n# TYPE jobs_total counter\njobs_total{queue=\"a\"} 2\n\
                    # HELP wait_seconds Waits.\n# TYPE wait_seconds histogram\n\
                    wait_seconds_sum 1.5\nwait_seconds_count 1\nwait_seconds_bucket{le=\"+Inf\"} 1\n";
        assert_eq!(text_format(open_metrics), text);
    }

    #[test]
    fn every_family_has_a_kind_of_the_text_format() {
        let text = text_format(&Metrics::new().encode());
        let kinds: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE ")).collect();
        assert!(!kinds.is_empty(), "{text}");
        for line in kinds {
            let kind = line.rsplit(' ').next();
            assert!(matches!(kind, Some("counter" | "gauge" | "histogram")), "{line}");
            assert_eq!(line.contains("_total "), kind == Some("counter"), "{line}");
        }
    }
}
