//! Collects the declarations of a module and of the modules that it uses.

use std::collections::BTreeMap;

use hcl::Body;
use hcl::expr::{Expression, TraversalOperator};
use serde_json::Value;

use super::evaluate::{Evaluator, constant};
use super::mapping::{self, Draft};
use super::module::{attribute, block};
use super::variables::camel_case;
use crate::model::{Output, Reference, Target};
use crate::value::{plain, truth};

/// All declarations, by IDs with the path of module uses as a prefix.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) drafts: BTreeMap<String, Draft>,
    pub(super) outputs: BTreeMap<String, Output>,
    /// References outside resources' properties and outputs.
    pub(super) references: Vec<Reference>,
    pub(super) declared: Vec<String>,
}

impl Gathered {
    pub(super) fn add(&mut self, evaluator: &Evaluator<'_>) {
        let module = evaluator.module;
        for (id, body) in &module.resources {
            let terraform = id.split('.').next().unwrap_or_default().to_owned();
            let id = format!("{}{id}", evaluator.prefix);
            self.declared.push(id.clone());
            // Attributes without a CloudFormation property, such as `count`, also use variables.
            let of_resource = evaluator.references(body).into_iter();
            self.references
                .extend(of_resource.filter(|reference| matches!(reference.to, Target::Parameter(_))));
            if is_there(evaluator, body) {
                let properties = mapping::resource(evaluator, &terraform, body);
                let depends_on = depends_on(evaluator, body);
                self.drafts
                    .insert(id, Draft { terraform, properties, retained: is_retained(body), depends_on });
            }
        }
        for (name, body) in &module.outputs {
            self.outputs.insert(format!("{}{}", evaluator.prefix, camel_case(name)), output(evaluator, body));
        }
        let uses = module.uses.values().map(|used| &used.block);
        for body in module.data.values().chain(&module.providers).chain(uses) {
            self.references.extend(evaluator.references(body));
        }
        self.references.extend(evaluator.left_out());
        for (name, used) in &module.uses {
            if let Some(inner) = evaluator.used(name).filter(|_| is_there(evaluator, &used.block)) {
                self.add(&inner);
            }
        }
    }
}

fn output(evaluator: &Evaluator<'_>, body: &Body) -> Output {
    let value = attribute(body, "value").map(|value| evaluator.evaluate(value)).unwrap_or_default();
    let description = attribute(body, "description").map(|text| plain(&constant(text).value));
    Output { value: value.value, description: description.unwrap_or_default(), references: value.references }
}

/// Returns false if a resource or a module is known to be left out.
fn is_there(evaluator: &Evaluator<'_>, body: &Body) -> bool {
    let evaluated = |name| attribute(body, name).map(|expression| evaluator.evaluate(expression).value);
    let is_empty = |items: Value| match items {
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        _ => false,
    };
    evaluated("count") != Some(Value::from(0)) && !evaluated("for_each").is_some_and(is_empty)
}

fn is_retained(body: &Body) -> bool {
    let expression = block(body, "lifecycle").and_then(|lifecycle| attribute(lifecycle, "prevent_destroy"));
    expression.is_some_and(|expression| truth(&constant(expression).value) == Some(true))
}

fn depends_on(evaluator: &Evaluator<'_>, body: &Body) -> Vec<String> {
    let Some(Expression::Array(items)) = attribute(body, "depends_on") else { return Vec::new() };
    items.iter().filter_map(address).map(|id| format!("{}{id}", evaluator.prefix)).collect()
}

/// Returns the address of the resource that an expression names.
fn address(expression: &Expression) -> Option<String> {
    let Expression::Traversal(traversal) = expression else { return None };
    let (Expression::Variable(kind), [TraversalOperator::GetAttr(name), ..]) =
        (&traversal.expr, traversal.operators.as_slice())
    else {
        return None;
    };
    // Data sources and other modules can also be waited for, and are not resources.
    kind.as_str().starts_with("aws_").then(|| format!("{}.{name}", kind.as_str()))
}
