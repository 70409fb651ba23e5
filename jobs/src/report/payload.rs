//! What a `report.generate` job says.

use drumline::Job;
use serde::Deserialize;

use crate::location::{Location, NoLocation};

/// The longest title, in bytes.
const MAX_TITLE_BYTES: usize = 200;

/// One table, and what to sum up of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct ReportGenerate {
    pub(crate) source: Location,
    pub(crate) csv: Target,
    pub(crate) html: Target,
    /// The column whose distinct values are the groups.
    pub(crate) group_by: String,
    /// The column that is summed up.
    pub(crate) value: String,
    pub(crate) title: String,
}

impl Job for ReportGenerate {
    const TYPE: &'static str = "report.generate";
}

/// A file or an object to write, and the URL that it was named by.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) location: Location,
    pub(crate) url: String,
}

impl Target {
    fn new(target: &str, ending: &str) -> Result<Self, NoLocation> {
        let url = format!("{target}{ending}");
        Ok(Self { location: url.clone().try_into()?, url })
    }
}

// The payload as it is written, before what has to fit together has been checked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    source: Location,
    target: String,
    group_by: String,
    value: String,
    title: Option<String>,
}

/// What does not fit together in a payload.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Misfit {
    #[error(transparent)]
    Target(#[from] NoLocation),
    #[error("the target {0} is to be named without an ending: there will be a .csv and a .html")]
    Ending(String),
    #[error("the target {0} is the source: a second attempt would start from the first one's result")]
    TargetIsSource(Location),
    #[error("a title has at most {MAX_TITLE_BYTES} bytes, not {0}")]
    Title(usize),
}

impl TryFrom<Written> for ReportGenerate {
    type Error = Misfit;

    fn try_from(written: Written) -> Result<Self, Misfit> {
        let Written { source, target, group_by, value, title } = written;
        if target.ends_with('/') || [".csv", ".html"].iter().any(|ending| target.ends_with(ending)) {
            return Err(Misfit::Ending(target));
        }
        let title = title.unwrap_or_else(|| format!("{value} by {group_by}"));
        if title.len() > MAX_TITLE_BYTES {
            return Err(Misfit::Title(title.len()));
        }
        let (csv, html) = (Target::new(&target, ".csv")?, Target::new(&target, ".html")?);
        if [&csv, &html].iter().any(|target| target.location == source) {
            return Err(Misfit::TargetIsSource(source));
        }
        Ok(Self { source, csv, html, group_by, value, title })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn payload(field: &str, value: Value) -> Value {
        let mut payload = json!({
            "source": "s3://sales/2026.csv", "target": "s3://sales/out/2026", "groupBy": "country", "value": "amount",
        });
        payload[field] = value;
        payload
    }

    #[test]
    fn a_report_has_two_targets() {
        let report: ReportGenerate =
            serde_json::from_value(payload("target", json!("file:///a%20b/r.1"))).unwrap();
        assert_eq!(report.csv.location, Location::File("/a b/r.1.csv".into()));
        assert_eq!(report.html.url, "file:///a%20b/r.1.html");
        assert_eq!(report.title, "amount by country");
    }

    #[test]
    fn what_does_not_fit_together_is_told() {
        for (field, value, part) in [
            ("source", json!("sales.csv"), "neither a file:// nor an s3:// URL"),
            ("target", json!("s3://sales/out/2026.csv"), "without an ending"),
            ("target", json!("s3://sales/out/2026.html"), "without an ending"),
            ("target", json!("s3://sales/out/"), "without an ending"),
            ("target", json!("https://example.com/report"), "neither a file:// nor an s3:// URL"),
            ("target", json!("s3://sales/2026"), "is the source"),
            ("title", json!("x".repeat(201)), "at most 200 bytes"),
            ("groupBy", json!(3), "expected a string"),
            ("filter", json!("x"), "unknown field"),
        ] {
            let error = serde_json::from_value::<ReportGenerate>(payload(field, value)).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
