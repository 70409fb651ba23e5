//! Terraform modules as stacks: what a folder's `.tf` files declare, under CloudFormation's type and property names.
//!
//! A resource's logical id is its address, `aws_sqs_queue.jobs` or `module.queue.aws_sqs_queue.jobs`. Types and properties
//! that CloudFormation names differently are in `mapping`; all others are only written in another case. Some resources are
//! a part of another one there: redrive and redrive-allow policies are the queue's, attachments are the role's or the
//! policy's.
//!
//! Modules in folders beside and below are followed where one is used, with the values it is given there; those of a
//! registry are not. Nor are loops in templates, and `.tf.json` files. A resource with `count` or `for_each` is there once,
//! unless that is known to be none; `dynamic` blocks are followed where their items are known. What depends on the rest is
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

/// Reads a module: a folder with `.tf` files. Modules beside and below that it uses are read too.
pub fn load(folder: &Path) -> Result<Template, TemplateError> {
    Ok(Template::from_source(Terraform(Module::load(folder)?)))
}

/// Understands a module's files, each its name and its text. `name` is what findings call the module.
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
