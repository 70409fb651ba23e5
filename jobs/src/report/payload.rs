//! The payload of a `report.generate` job.

use drumline::{Job, Upcaster};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::key::{self, Optional};
use crate::location::{Location, NoLocation, Target};
use crate::schema;

/// The longest title, in bytes.
const MAX_TITLE_BYTES: usize = 200;

/// A table, and the columns to sum up.
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
    /// The key, derived from the whole payload: every part of it affects the written files.
    key: String,
}

impl Job for ReportGenerate {
    const TYPE: &'static str = "report.generate";
    const VERSION: u32 = 2;
    /// Version 1 had no `revision`.
    const UPCASTERS: &'static [Upcaster] = &[Upcaster { from: 1, up: Ok }];

    fn idempotency_key(&self) -> Option<String> {
        Some(self.key.clone())
    }

    fn schema(version: u32) -> Option<Value> {
        let newest = schema_for!(Written).to_value();
        Some(if version == 1 { schema::without(newest, "revision") } else { newest })
    }
}

/// The payload as it is written, before its parts are checked against each other. The key is derived from its JSON: see
/// [`key::of_payload`].
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ReportGenerate", description = "One table, and what to sum up of it.")]
struct Written {
    /// The table.
    #[schemars(regex(pattern = "^(file|s3)://"))]
    source: String,
    /// The name of the results, to which .csv and .html are added.
    #[schemars(regex(pattern = "^(file|s3)://"))]
    target: String,
    /// The column whose distinct values are the groups.
    group_by: String,
    /// The column that is summed up.
    value: String,
    #[serde(default, skip_serializing_if = "Optional::is_absent")]
    #[schemars(with = "Option<String>", length(max = MAX_TITLE_BYTES))]
    title: Optional<String>,
    /// Distinguishes reports on a source that changes under one name, for example daily. It is only a part of the key.
    #[serde(default, skip_serializing_if = "Optional::is_absent")]
    #[schemars(with = "Option<String>")]
    revision: Optional<String>,
}

/// An inconsistency in a payload.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Misfit {
    #[error(transparent)]
    Location(#[from] NoLocation),
    #[error("the target {0} must have no extension: .csv and .html are appended")]
    Ending(String),
    #[error("the target {0} is the source: a second attempt would start from the first one's result")]
    TargetIsSource(Location),
    #[error("a title has at most {MAX_TITLE_BYTES} bytes, not {0}")]
    Title(usize),
}

impl TryFrom<Written> for ReportGenerate {
    type Error = Misfit;

    fn try_from(written: Written) -> Result<Self, Misfit> {
        let key = key::of_payload("report", &written);
        let Written { source, target, group_by, value, title, revision: _ } = written;
        let source: Location = source.try_into()?;
        if target.ends_with('/') || [".csv", ".html"].iter().any(|ending| target.ends_with(ending)) {
            return Err(Misfit::Ending(target));
        }
        let title = title.value().unwrap_or_else(|| format!("{value} by {group_by}"));
        if title.len() > MAX_TITLE_BYTES {
            return Err(Misfit::Title(title.len()));
        }
        let (csv, html) = (format!("{target}.csv").try_into()?, format!("{target}.html").try_into()?);
        if [&csv, &html].iter().any(|target: &&Target| target.location == source) {
            return Err(Misfit::TargetIsSource(source));
        }
        Ok(Self { source, csv, html, group_by, value, title, key })
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
    fn inconsistent_payloads_have_explaining_errors() {
        for (field, value, part) in [
            ("source", json!("sales.csv"), "neither a file:// nor an s3:// URL"),
            ("target", json!("s3://sales/out/2026.csv"), "must have no extension"),
            ("target", json!("s3://sales/out/2026.html"), "must have no extension"),
            ("target", json!("s3://sales/out/"), "must have no extension"),
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
