//! The parts of a contract that both languages need: types and versions, with their names, types and schemas.

use std::collections::BTreeSet;

use serde_json::Value;

use super::checked::checked;
use super::client_file::NoClient;
use super::names::{Names, pascal};
use super::shape::{Definition, Shape, Shapes};
use crate::Contract;

/// The payload of a job type in one version.
pub(super) struct Payload {
    pub(super) job_type: String,
    pub(super) version: u32,
    /// True if it is the version that producers write.
    pub(super) is_newest: bool,
    /// The name of the job type in the client.
    pub(super) job: String,
    pub(super) shape: Shape,
    pub(super) definitions: Vec<Definition>,
    /// The checked part of the schema; null if there is no schema.
    pub(super) schema: Value,
}

impl Payload {
    /// Returns the documentation of the job type.
    pub(super) fn doc(&self) -> String {
        let Self { job_type, version, .. } = self;
        if self.is_newest {
            format!("A job of type `{job_type}`, version {version}.")
        } else {
            format!(
                "A job of type `{job_type}` in the older version {version}, for workers that know no newer one."
            )
        }
    }
}

/// Returns all types in all versions, the newest version of each first. Adds the parts that clients do not check to the list.
pub(super) fn payloads(
    contract: &Contract,
    taken: BTreeSet<String>,
    unchecked: &mut Vec<String>,
) -> Result<Vec<Payload>, NoClient> {
    let mut names = Names::new(taken);
    // The most frequently used names are taken first.
    let jobs: Vec<String> = contract.types().iter().map(|of| names.take(&pascal(&of.name))).collect();
    let mut payloads = Vec::new();
    for (of, newest) in contract.types().iter().zip(jobs) {
        for version in of.versions.iter().rev() {
            let is_newest = version.version == of.version;
            let job =
                if is_newest { newest.clone() } else { names.take(&format!("{newest}V{}", version.version)) };
            let place = format!("{} version {}", of.name, version.version);
            let (shape, definitions) = match &version.schema {
                Some(schema) => Shapes::of_payload(schema, &job, &mut names)
                    .map_err(|NoClient(reason)| NoClient(format!("{place}: {reason}")))?,
                None => (Shape::Any, Vec::new()),
            };
            let mut report =
                |at: &str, keyword: &str| unchecked.push(format!("{place}: `{keyword}` at \"{at}\""));
            let schema = version.schema.as_ref().map_or(Value::Null, |schema| checked(schema, &mut report));
            payloads.push(Payload {
                job_type: of.name.clone(),
                version: version.version,
                is_newest,
                job,
                shape,
                definitions,
                schema,
            });
        }
    }
    Ok(payloads)
}

/// Returns the header of a client file.
pub(super) fn header(command: &str) -> String {
    format!(
        "Made by Drumline {}; do not edit it. To make it again:\n\n    {command}",
        env!("CARGO_PKG_VERSION")
    )
}
