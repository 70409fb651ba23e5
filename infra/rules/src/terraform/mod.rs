//! Converts Terraform modules to stacks: the declarations of a folder's `.tf` files, with CloudFormation's type and property
//! names.
//!
//! A resource's logical ID is its address, `aws_sqs_queue.jobs` or `module.queue.aws_sqs_queue.jobs`. `mapping` contains the
//! types and properties with other names in CloudFormation; all others only change their case. Some resources are part of
//! another one there: redrive and redrive-allow policies belong to the queue, attachments to the role or the policy.
//!
//! Modules in sibling folders and subfolders are followed with the values of each use. Modules of a registry, loops in
//! templates, and `.tf.json` files are not supported. A resource with `count` or `for_each` counts once, unless its number is
//! known to be zero. `dynamic` blocks are followed if their items are known. Values that depend on unsupported parts are
//! unknown, and rules do not report them. Findings have no lines, because a module has many files.
//! unknown, and rules say nothing about it. Findings name no lines, because a module has many files.

mod evaluate;
mod evaluated;
mod functions;
mod gather;
mod mapping;
mod module;
mod names;
mod operators;
mod policy_document;
mod uses;
mod variables;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::model::{Dialect, Resource, Stack};
use crate::source::{Source, TemplateError};
use crate::template::Template;
use evaluate::Evaluator;
use gather::Gathered;
use mapping::{Draft, cloudformation_type};
use module::Module;

/// Reads a module: a folder with `.tf` files. The modules in sibling folders and subfolders that it uses are read too.
pub fn load(folder: &Path) -> Result<Template, TemplateError> {
    Ok(Template::from_source(Terraform(Module::load(folder)?)))
}

/// Parses a module's files, each given by its name and text. `name` is the module's name in findings.
pub fn parse(name: &str, files: &[(String, String)]) -> Result<Template, TemplateError> {
    Ok(Template::from_source(Terraform(Module::parse(name, files)?)))
}

struct Terraform(Module);

impl Source for Terraform {
    fn stack(&self, values: &BTreeMap<String, Value>) -> Stack {
        let evaluator = Evaluator::new(&self.0, variables::parameters(&self.0, values));
        let mut found = Gathered::default();
        found.add(&evaluator);
        mapping::merge(&mut found.drafts);
        Stack {
            file: self.0.name.clone(),
            dialect: Dialect::Terraform,
            resources: found.drafts.into_iter().map(|(id, draft)| (id, resource(draft))).collect(),
            outputs: found.outputs,
            declared: found.declared,
            references: found.references,
            parameters: evaluator.parameters,
            ..Stack::default()
        }
    }
}

fn resource(draft: Draft) -> Resource {
    let kind = cloudformation_type(&draft.terraform).filter(|kind| !kind.is_empty());
    let policy = draft.retained.then(|| "Retain".to_owned());
    Resource {
        kind: kind.map_or_else(|| format!("Terraform::{}", draft.terraform), str::to_owned),
        properties: draft.properties.value,
        references: draft.properties.references,
        depends_on: draft.depends_on,
        deletion_policy: policy.clone(),
        update_replace_policy: policy,
        ..Resource::default()
    }
}
