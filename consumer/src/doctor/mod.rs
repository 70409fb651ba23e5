//! What is wrong with templates and with live queues, by one set of rules.

mod lambda_api;
mod live;
mod observed;

use drumline_host::Advice;
use drumline_infra_rules::Finding;
use serde::Serialize;

pub(crate) use live::{Examined, examine};
pub(crate) use observed::observe;

/// Something that is wrong, wherever it was found.
#[derive(Debug, Serialize)]
pub(crate) struct Diagnosis {
    /// The rule's id. Those of templates are in the rules' own document; R and D are of settings and live queues.
    pub(crate) rule: &'static str,
    /// The template's file and line, or the queue.
    pub(crate) place: String,
    /// Which resource and property, where it is known.
    pub(crate) part: String,
    /// What is so.
    pub(crate) found: String,
    /// Why that is bad.
    pub(crate) reason: &'static str,
    /// What to do.
    pub(crate) mend: &'static str,
}

impl Diagnosis {
    /// What a rule found in a template.
    pub(crate) fn in_template(finding: Finding) -> Self {
        let line = finding.place.line.map(|line| format!(":{line}")).unwrap_or_default();
        Self {
            rule: finding.rule,
            place: format!("{}{line}", finding.file),
            part: part(finding.place.name.unwrap_or_default(), &finding.place.path),
            found: finding.found,
            reason: finding.reason,
            mend: finding.mend,
        }
    }

    /// What settings and a queue make of each other.
    pub(crate) fn of_settings(queue: &str, advice: Advice) -> Self {
        let Advice { id, found, reason, mend } = advice;
        Self { rule: id, place: queue.to_owned(), part: String::new(), found, reason, mend }
    }
}

/// A resource's name and its property.
fn part(name: String, path: &str) -> String {
    if path.is_empty() { name } else { format!("{name}.{path}") }
}
