//! Checks if a changed contract breaks running workers or waiting messages.
//!
//! During and after a deploy, old and new versions meet. Running workers with the old contract receive messages of new
//! producers until the deploy ends. Messages that old producers wrote wait in the queue, or for up to 14 days in its DLQ, and
//! new workers receive them. Both cases are the same question about two schemas: does a reader's schema accept everything that
//! a writer's [produces](mismatches)?

mod array;
mod disjoint;
mod document;
mod finding;
mod mismatch;
mod number;
mod object;
mod schema;
mod shape;
mod term;
mod text;
mod variant;

use crate::document::{Contract, TypeContract, VersionContract};

pub use finding::{Affected, Finding, Severity};
pub use mismatch::{Mismatch, MismatchKind};
pub use schema::mismatches;

/// Compares the old contract with the new one. Returns first the findings that break something, then those that could not be
/// compared, then notes; each in the order of types and versions.
///
/// ```
/// use drumline_contract::Contract;
/// use drumline_contract::compatibility::{Affected, Severity, compare};
/// use serde_json::json;
///
/// let contract = |required: &[&str]| {
///     let schema = json!({ "type": "object", "properties": { "user": { "type": "string" } }, "required": required });
///     let versions = json!([{ "version": 1, "schema": schema }]);
///     let document = json!({ "drumline": "contract/1", "types": [{ "type": "mail", "version": 1, "versions": versions }] });
///     serde_json::from_value::<Contract>(document).expect("a contract")
/// };
/// let findings = compare(&contract(&[]), &contract(&["user"]));
/// assert_eq!(findings[0].severity, Severity::Breaking);
/// assert_eq!(findings[0].affected, Some(Affected::WaitingMessages));
/// assert_eq!(findings[0].pointer, "/user");
/// assert_eq!(compare(&contract(&["user"]), &contract(&["user"])), []);
/// ```
pub fn compare(old: &Contract, new: &Contract) -> Vec<Finding> {
    let mut findings = Vec::new();
    for of in old.types() {
        match new.find(&of.name) {
            Some(new) => compare_type(of, new, &mut findings),
            None => findings.push(removed(of)),
        }
    }
    findings.extend(new.types().iter().filter(|of| old.find(&of.name).is_none()).map(added));
    findings.sort_by(|a, b| (a.severity, &a.job_type).cmp(&(b.severity, &b.job_type)));
    findings
}

fn removed(of: &TypeContract) -> Finding {
    Finding {
        problem: "the type is removed: its messages in the queue and in the DLQ have no handler any more"
            .to_owned(),
        fix:
            "keep its handler until neither the queue nor its DLQ holds a message of the type, up to 14 days"
                .to_owned(),
        ..Finding::breaking(&of.name, of.version, Affected::WaitingMessages)
    }
}

fn added(of: &TypeContract) -> Finding {
    Finding {
        problem:
            "the type is new: running workers without a handler retry its messages until they are replaced"
                .to_owned(),
        fix: "deploy workers before the producers of the type".to_owned(),
        ..Finding::note(&of.name, of.version, Affected::RunningWorkers)
    }
}

fn compare_type(old: &TypeContract, new: &TypeContract, findings: &mut Vec<Finding>) {
    findings.extend(version_change(old, new));
    for version in &old.versions {
        match new.find(version.version) {
            Some(reader) => {
                let pair = Pair { of: new, writer: version, reader, affected: Affected::WaitingMessages };
                findings.extend(pair.compare());
            }
            // Versions above the new one are reported as lowered.
            None if version.version < new.version => findings.push(dropped(old, version.version)),
            None => {}
        }
    }
    let Some(writer) = new.find(new.version) else { return };
    match old.find(new.version) {
        // Missing schemas were reported by the comparison above.
        Some(reader) if writer.schema.is_some() && reader.schema.is_some() => {
            findings.extend(Pair { of: new, writer, reader, affected: Affected::RunningWorkers }.compare());
        }
        None if new.version < old.version => findings.push(Finding {
            problem: format!(
                "new producers write version {}, which running workers cannot read",
                new.version
            ),
            fix: format!("raise VERSION above {}", old.version),
            ..Finding::breaking(&new.name, new.version, Affected::RunningWorkers)
        }),
        _ => {}
    }
}

/// Returns the finding about a raised or lowered version itself.
fn version_change(old: &TypeContract, new: &TypeContract) -> Option<Finding> {
    let (before, now) = (old.version, new.version);
    if now > before {
        return Some(Finding {
            problem: format!(
                "VERSION is raised from {before}: running workers retry messages of version {now} until they are replaced, and each \
                 retry is a receive"
            ),
            fix:
                "deploy workers before producers, and let maxReceiveCount allow the retries of a whole deploy"
                    .to_owned(),
            ..Finding::note(&new.name, now, Affected::RunningWorkers)
        });
    }
    (now < before).then(|| Finding {
        problem: format!(
            "VERSION is lowered to {now}: new workers retry messages of version {before} until they end in the DLQ"
        ),
        fix: format!("raise VERSION to {}, whose payload may be that of version {now}, with an Upcaster from {before}", before + 1),
        ..Finding::breaking(&new.name, before, Affected::WaitingMessages)
    })
}

fn dropped(old: &TypeContract, version: u32) -> Finding {
    Finding {
        problem: format!(
            "new workers cannot read version {version}, which may wait in the queue, and in its DLQ for up to 14 days"
        ),
        fix: format!(
            "keep an Upcaster from {version}; drop it once neither the queue nor its DLQ holds a message of the version"
        ),
        ..Finding::breaking(&old.name, version, Affected::WaitingMessages)
    }
}

/// A version that one side writes and the other reads.
struct Pair<'a> {
    /// The type in the new contract.
    of: &'a TypeContract,
    writer: &'a VersionContract,
    reader: &'a VersionContract,
    affected: Affected,
}

impl Pair<'_> {
    fn compare(&self) -> Vec<Finding> {
        let (Some(writer), Some(reader)) = (&self.writer.schema, &self.reader.schema) else {
            return vec![self.without_schema()];
        };
        mismatches(reader, writer).into_iter().map(|mismatch| self.finding(mismatch)).collect()
    }

    fn finding(&self, mismatch: Mismatch) -> Finding {
        let fix = self.fix(&mismatch);
        let Mismatch { pointer, kind, doubt } = mismatch;
        let problem = kind.problem(self.affected);
        let (severity, problem) = match doubt {
            None => (Severity::Breaking, problem),
            Some(doubt) if kind == MismatchKind::NotCompared => {
                (Severity::Unknown, format!("{problem}: {doubt}"))
            }
            Some(doubt) => (Severity::Unknown, format!("{problem}; that is not certain: {doubt}")),
        };
        Finding {
            severity,
            pointer,
            problem,
            fix,
            ..Finding::breaking(&self.of.name, self.writer.version, self.affected)
        }
    }

    fn without_schema(&self) -> Finding {
        let missing = match (&self.writer.schema, &self.reader.schema) {
            (None, None) => "neither contract has a schema",
            (None, _) => "the old contract has no schema",
            _ => "the new contract has no schema",
        };
        Finding {
            severity: Severity::Unknown,
            affected: None,
            problem: format!("{missing} of this version, so its payloads cannot be compared"),
            fix: "return one from Job::schema".to_owned(),
            ..Finding::breaking(&self.of.name, self.writer.version, self.affected)
        }
    }

    /// Returns how to make the change without breaking anything.
    fn fix(&self, mismatch: &Mismatch) -> String {
        let (version, current) = (self.writer.version, self.of.version);
        let of_version = if version < current {
            format!(
                "version {version} is written already and must stay as it was: let Job::schema({version}) return the old schema, and \
                 the Upcaster from {version} take what it allows"
            )
        } else {
            match self.affected {
                Affected::WaitingMessages => {
                    format!("raise VERSION to {} and add an Upcaster from {version}", version + 1)
                }
                Affected::RunningWorkers => format!(
                    "raise VERSION to {}, with an Upcaster from {version}: running workers then retry the new messages until they are \
                     replaced",
                    version + 1
                ),
            }
        };
        match mismatch.kind.fix(self.affected) {
            Some(fix) if version == current => format!("{fix}; or {of_version}"),
            _ => of_version,
        }
    }
}

#[cfg(test)]
#[path = "compatibility/compatibility_tests.rs"]
mod tests;
