//! Converts CloudFormation and SAM templates, in YAML or JSON, to stacks.

mod branches;
mod lenient;
mod parameters;
mod references;
mod resolve;
pub(crate) mod sam;
mod sections;
pub(crate) mod yaml;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::model::{Dialect, Output, Resource, Stack};
use crate::source::{Source, TemplateError};
use branches::Taken;
use references::{Made, Names};
use resolve::Resolver;
use sections::{section, text_of};
use yaml::{Document, Problem};

/// A parsed template.
pub(crate) struct CloudFormation {
    file: String,
    document: Document,
    lint_ignores: Vec<usize>,
}

impl CloudFormation {
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self, TemplateError> {
        let malformed = |problem| TemplateError::Malformed { file: file.to_owned(), problem };
        let mut document = match yaml::parse(text) {
            Ok(document) => document,
            Err(Problem::TooMuch(problem)) => return Err(malformed(problem)),
            Err(Problem::Syntax) => {
                Document { root: lenient::parse(text).map_err(malformed)?, lines: BTreeMap::new() }
            }
        };
        if !document.root.get("Resources").is_some_and(Value::is_object) {
            return Err(malformed("it has no Resources".to_owned()));
        }
        sam::expand(&mut document);
        Ok(Self { file: file.to_owned(), lint_ignores: lint_ignores(&document), document })
    }
}

impl Source for CloudFormation {
    fn stack(&self, values: &BTreeMap<String, Value>) -> Stack {
        let root = &self.document.root;
        let parameters = parameters::read(&self.document, values);
        let resources = section(root, "Resources");
        let names = Names { parameters: &parameters, resources, made: Made::of(root) };
        let resolver = Resolver::new(root, &parameters);
        let exists = |resource: &Value| {
            let condition = resource.get("Condition").and_then(Value::as_str);
            condition.is_none_or(|name| resolver.condition(name) != Some(false))
        };
        let mut references = Vec::new();
        for part in ["Conditions", "Rules", "Mappings", "Globals", "Hooks", "Metadata"] {
            references.extend(names.references(&root[part]));
        }
        // A part left out by a false condition can still refer to a parameter.
        let left_out =
            resources.values().chain(section(root, "Outputs").values()).filter(|part| !exists(part));
        references.extend(left_out.flat_map(|part| names.references(part)));
        let mut not_taken = Vec::new();
        let resources_now = resources.iter().filter(|(_, resource)| exists(resource)).map(|(id, raw)| {
            let (resource, left_out) = self.resource(id, raw, &names, &resolver);
            not_taken.extend(left_out);
            (id.clone(), resource)
        });
        let resources_now = resources_now.collect();
        let outputs =
            section(root, "Outputs").iter().filter(|(_, output)| exists(output)).map(|(name, raw)| {
                let (output, left_out) = output(raw, &names, &resolver);
                not_taken.extend(left_out);
                (name.clone(), output)
            });
        let outputs = outputs.collect();
        // A branch that is not selected can still refer to a parameter.
        references.extend(not_taken.iter().flat_map(|branch| names.references(branch)));
        Stack {
            file: self.file.clone(),
            dialect: Dialect::CloudFormation,
            description: text_of(root, "Description"),
            resources: resources_now,
            outputs,
            declared: resources.keys().cloned().collect(),
            lint_ignores: self.lint_ignores.clone(),
            references,
            parameters,
        }
    }
}

impl CloudFormation {
    /// Returns a resource, and the branches of its properties that are not selected.
    fn resource(
        &self,
        id: &str,
        raw: &Value,
        names: &Names<'_>,
        resolver: &Resolver<'_>,
    ) -> (Resource, Vec<Value>) {
        let here = format!("/Resources/{}", yaml::escape(id));
        let Taken { value, mut lines, left_out } =
            branches::take(&raw["Properties"], resolver, &self.document.lines, &format!("{here}/Properties"));
        let value = value.unwrap_or_default();
        lines.remove("");
        if let Some(line) = self.document.lines.get(&here) {
            lines.insert(String::new(), *line);
        }
        let depends_on = match &raw["DependsOn"] {
            Value::String(id) => vec![id.clone()],
            Value::Array(ids) => ids.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let policy = |key: &str| resolver.resolve(&raw[key])?.as_str().map(str::to_owned);
        let properties = resolver.resolve(&value).filter(Value::is_object);
        let resource = Resource {
            kind: text_of(raw, "Type"),
            properties: properties.unwrap_or_else(|| Value::Object(Map::new())),
            references: names.references(&value),
            depends_on,
            deletion_policy: policy("DeletionPolicy"),
            update_replace_policy: policy("UpdateReplacePolicy"),
            metadata: raw["Metadata"].clone(),
            lines,
        };
        (resource, left_out)
    }
}

/// Returns an output, and the branches of its value that are not selected.
fn output(raw: &Value, names: &Names<'_>, resolver: &Resolver<'_>) -> (Output, Vec<Value>) {
    let Taken { value, left_out, .. } = branches::take(&raw["Value"], resolver, &BTreeMap::new(), "");
    let value = value.unwrap_or_default();
    let mut references = names.references(&value);
    references.extend(names.references(&raw["Export"]));
    let output = Output {
        value: resolver.resolve(&value).unwrap_or_default(),
        description: text_of(raw, "Description"),
        references,
    };
    (output, left_out)
}

/// Returns the lines on which cfn-lint is configured to ignore a problem: in the metadata of the template or of a resource.
fn lint_ignores(document: &Document) -> Vec<usize> {
    let is_ignore = |at: &str| {
        let mut parts = at.split('/').skip(1);
        let metadata = match parts.next() {
            Some("Metadata") => true,
            Some("Resources") => parts.nth(1) == Some("Metadata"),
            _ => false,
        };
        metadata && matches!(parts.next(), Some("cfn-lint" | "cfn_lint")) && parts.next().is_none()
    };
    document.lines.iter().filter(|(at, _)| is_ignore(at)).map(|(_, line)| *line).collect()
}
