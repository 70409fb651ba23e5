//! Terraform modules as stacks: what a folder's `.tf` files declare, under CloudFormation's type and property names.
//!
//! A resource's logical id is its address in the module, `aws_sqs_queue.jobs`. Types and properties that CloudFormation
//! names differently are in `mapping`; all others are only written in another case. Some resources are a part of another
//! one there: redrive and redrive-allow policies are the queue's, attachments are the role's.
//!
//! Not followed are other modules that a module uses, `count` and `for_each` (such a resource is there once), loops in
//! templates, and `.tf.json` files. What depends on them is unknown, and rules say nothing about it. Findings name no
//! lines, because a module has many files.

mod evaluate;
mod evaluated;
mod functions;
mod mapping;
mod module;
mod names;
mod operators;
mod policy_document;
mod variables;

use std::collections::BTreeMap;
use std::path::Path;

use hcl::Body;
use hcl::expr::{Expression, TraversalOperator};
use serde_json::Value;

use crate::model::{Dialect, Output, Reference, Resource, Stack, Target};
use crate::template::{Source, Template, TemplateError};
use crate::value::{plain, truth};
use evaluate::{Evaluator, constant};
use mapping::{Draft, cloudformation_type};
use module::{Module, attribute, block};
use variables::camel_case;

/// Reads a module: a folder with `.tf` files.
pub fn load(folder: &Path) -> Result<Template, TemplateError> {
    parse(&folder.display().to_string(), &module::read(folder)?)
}

/// Understands a module's files, each its name and its text. `name` is what findings call the module.
pub fn parse(name: &str, files: &[(String, String)]) -> Result<Template, TemplateError> {
    Ok(Template::from_source(Terraform(Module::parse(name, files)?)))
}

struct Terraform(Module);

impl Source for Terraform {
    fn stack(&self, values: &BTreeMap<String, Value>) -> Stack {
        let module = &self.0;
        let parameters = variables::parameters(module, values);
        let evaluator = Evaluator::new(module, &parameters);
        let mut drafts = BTreeMap::new();
        for (id, body) in module.resources.iter().filter(|(_, body)| is_there(&evaluator, body)) {
            let terraform = id.split('.').next().unwrap_or_default().to_owned();
            let properties = mapping::resource(&evaluator, &terraform, body);
            drafts.insert(id.clone(), Draft { terraform, properties });
        }
        mapping::merge(&mut drafts);
        let resources = drafts.into_iter().map(|(id, draft)| {
            let resource = resource(draft, module.resources.get(&id));
            (id, resource)
        });
        Stack {
            file: module.name.clone(),
            dialect: Dialect::Terraform,
            resources: resources.collect(),
            outputs: outputs(&evaluator),
            declared: module.resources.keys().cloned().collect(),
            references: elsewhere(&evaluator),
            parameters,
            ..Stack::default()
        }
    }
}

fn resource(draft: Draft, body: Option<&Body>) -> Resource {
    let kind = cloudformation_type(&draft.terraform).filter(|kind| !kind.is_empty());
    let retained = body
        .and_then(|body| block(body, "lifecycle"))
        .and_then(|lifecycle| attribute(lifecycle, "prevent_destroy"));
    let retained = retained.is_some_and(|expression| truth(&constant(expression).value) == Some(true));
    let policy = retained.then(|| "Retain".to_owned());
    Resource {
        kind: kind.map_or_else(|| format!("Terraform::{}", draft.terraform), str::to_owned),
        properties: draft.properties.value,
        references: draft.properties.references,
        depends_on: body.map(depends_on).unwrap_or_default(),
        deletion_policy: policy.clone(),
        update_replace_policy: policy,
        ..Resource::default()
    }
}

fn outputs(evaluator: &Evaluator<'_>) -> BTreeMap<String, Output> {
    let output = |(name, body): (&String, &Body)| {
        let value = attribute(body, "value").map(|value| evaluator.evaluate(value)).unwrap_or_default();
        let description =
            attribute(body, "description").map(|text| plain(&constant(text).value)).unwrap_or_default();
        (camel_case(name), Output { value: value.value, description, references: value.references })
    };
    evaluator.module.outputs.iter().map(output).collect()
}

/// What is referred to beside resources' properties and outputs.
fn elsewhere(evaluator: &Evaluator<'_>) -> Vec<Reference> {
    let module = evaluator.module;
    let others = module.data.values().chain(&module.others);
    let mut found: Vec<Reference> = others.flat_map(|body| evaluator.references(body)).collect();
    // A variable is used by what CloudFormation has no property for too, such as `count`.
    let of_resources = module.resources.values().flat_map(|body| evaluator.references(body));
    found.extend(of_resources.filter(|reference| matches!(reference.to, Target::Parameter(_))));
    found
}

/// Whether a resource is there at all.
fn is_there(evaluator: &Evaluator<'_>, body: &Body) -> bool {
    let count = attribute(body, "count").map(|count| evaluator.evaluate(count).value);
    count != Some(Value::from(0))
}

fn depends_on(body: &Body) -> Vec<String> {
    let Some(Expression::Array(items)) = attribute(body, "depends_on") else { return Vec::new() };
    items.iter().filter_map(address).collect()
}

/// The resource that an expression is.
fn address(expression: &Expression) -> Option<String> {
    let Expression::Traversal(traversal) = expression else { return None };
    let (Expression::Variable(kind), [TraversalOperator::GetAttr(name), ..]) =
        (&traversal.expr, traversal.operators.as_slice())
    else {
        return None;
    };
    // Data sources and other modules are waited for too, and are no resources.
    kind.as_str().starts_with("aws_").then(|| format!("{}.{name}", kind.as_str()))
}
