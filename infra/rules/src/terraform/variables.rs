//! Converts input variables to parameters. Their bounds are read from their `validation` blocks.

use std::collections::BTreeMap;

use hcl::Body;
use hcl::expr::{BinaryOperator, Expression, FuncCall, Operation, TraversalOperator};
use serde_json::Value;

use super::evaluate::constant;
use super::module::{Module, attribute};
use crate::model::Parameter;
use crate::value::{int, number};

/// Returns the parameters, by their names in CloudFormation.
pub(super) fn parameters(module: &Module, values: &BTreeMap<String, Value>) -> BTreeMap<String, Parameter> {
    let mut parameters = BTreeMap::new();
    for (name, body) in &module.variables {
        let camel = camel_case(name);
        let mut parameter = parameter(name, body, values.get(&camel));
        for bounds in handed_on(module, name) {
            inherit(&mut parameter, bounds);
        }
        parameters.insert(camel, parameter);
    }
    parameters
}

/// Returns the variables of other modules to which a variable is passed unchanged.
fn handed_on(module: &Module, name: &str) -> Vec<Parameter> {
    let mut found = Vec::new();
    for used in module.uses.values() {
        let Some(inner) = &used.module else { continue };
        let given = used.block.attributes().filter(|given| is_variable(&given.expr, name));
        let theirs = parameters(inner, &BTreeMap::new());
        found.extend(given.filter_map(|given| theirs.get(&camel_case(given.key())).cloned()));
    }
    found
}

/// Adds the bounds of a variable that receives this value.
fn inherit(own: &mut Parameter, theirs: Parameter) {
    own.min = own.min.or(theirs.min);
    own.max = own.max.or(theirs.max);
    own.max_length = own.max_length.or(theirs.max_length);
    if own.pattern.is_none() {
        own.pattern = theirs.pattern;
    }
    if own.allowed.is_empty() {
        own.allowed = theirs.allowed;
    }
}

/// Converts `max_tasks` to `MaxTasks`.
pub(super) fn camel_case(name: &str) -> String {
    let mut camel = String::new();
    for part in name.split(['_', '-']) {
        let mut letters = part.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

fn parameter(name: &str, body: &Body, chosen: Option<&Value>) -> Parameter {
    let default = attribute(body, "default").map(|default| constant(default).value);
    let mut parameter = Parameter {
        kind: kind(attribute(body, "type")),
        value: chosen.cloned().or_else(|| default.clone()),
        default,
        description: attribute(body, "description")
            .map(|text| constant(text).value)
            .as_ref()
            .map_or_else(String::new, crate::value::plain),
        ..Parameter::default()
    };
    if matches!(attribute(body, "type"), Some(Expression::Variable(kind)) if kind.as_str() == "bool") {
        parameter.allowed = vec![Value::Bool(true), Value::Bool(false)];
    }
    for validation in body.blocks().filter(|block| block.identifier() == "validation") {
        if let Some(condition) = attribute(&validation.body, "condition") {
            bound(&mut parameter, &|expression| is_variable(expression, name), condition);
        }
    }
    parameter
}

/// Returns a type with CloudFormation's name.
fn kind(declared: Option<&Expression>) -> String {
    let kind = match declared {
        Some(Expression::Variable(kind)) if kind.as_str() == "number" => "Number",
        Some(Expression::FuncCall(kind)) if ["list", "set"].contains(&kind.name.name.as_str()) => {
            "CommaDelimitedList"
        }
        // CloudFormation has no such parameters.
        Some(Expression::FuncCall(kind)) if kind.name.name.as_str() == "map" => "Map",
        _ => "String",
    };
    kind.to_owned()
}

/// Returns true if an expression is the subject of a condition.
type Subject<'a> = &'a dyn Fn(&Expression) -> bool;

/// Reads a bound from a condition, if it is one. Other conditions compare variables with each other.
fn bound(parameter: &mut Parameter, subject: Subject<'_>, condition: &Expression) {
    match condition {
        Expression::Parenthesis(inner) => bound(parameter, subject, inner),
        Expression::Operation(operation) => {
            let Operation::Binary(operation) = operation.as_ref() else { return };
            let (left, right) = (&operation.lhs_expr, &operation.rhs_expr);
            match operation.operator {
                BinaryOperator::And => {
                    bound(parameter, subject, left);
                    bound(parameter, subject, right);
                }
                BinaryOperator::GreaterEq => limit(parameter, subject, (left, right), true),
                BinaryOperator::LessEq => limit(parameter, subject, (left, right), false),
                _ => {}
            }
        }
        Expression::FuncCall(call) => match (call.name.name.as_str(), call.args.as_slice()) {
            ("contains", [allowed, checked]) if subject(checked) => {
                parameter.allowed = constant(allowed).value.as_array().cloned().unwrap_or_default();
            }
            ("can", [inner]) => bound(parameter, subject, inner),
            ("regex", [pattern, checked]) if subject(checked) => {
                parameter.pattern = constant(pattern).value.as_str().map(str::to_owned);
            }
            // For a list: applies to each of its items.
            ("alltrue", [Expression::ForExpr(each)]) if subject(&each.collection_expr) => {
                let item = |expression: &Expression| matches!(expression, Expression::Variable(item) if item.as_str() == each.value_var.as_str());
                bound(parameter, &item, &each.value_expr);
            }
            _ => {}
        },
        _ => {}
    }
}

/// Reads a comparison of the subject, or of its length, with a number.
fn limit(
    parameter: &mut Parameter,
    subject: Subject<'_>,
    (left, right): (&Expression, &Expression),
    left_is_greater: bool,
) {
    let (checked, bound, at_least) = match (is_about(subject, left), is_about(subject, right)) {
        (true, false) => (left, right, left_is_greater),
        (false, true) => (right, left, !left_is_greater),
        _ => return,
    };
    let bound = constant(bound).value;
    match (subject(checked), at_least) {
        (true, true) => parameter.min = number(&bound).or(parameter.min),
        (true, false) => parameter.max = number(&bound).or(parameter.max),
        (false, false) => parameter.max_length = int(&bound).and_then(|length| u64::try_from(length).ok()),
        (false, true) => {}
    }
}

/// Returns true if an expression is the subject or its length.
fn is_about(subject: Subject<'_>, expression: &Expression) -> bool {
    let length_of =
        |call: &FuncCall| call.name.name.as_str() == "length" && call.args.first().is_some_and(subject);
    subject(expression) || matches!(expression, Expression::FuncCall(call) if length_of(call))
}

/// Returns true if an expression is `var.name`.
fn is_variable(expression: &Expression, name: &str) -> bool {
    let Expression::Traversal(traversal) = expression else { return false };
    matches!(&traversal.expr, Expression::Variable(root) if root.as_str() == "var")
        && matches!(traversal.operators.as_slice(), [TraversalOperator::GetAttr(attribute)] if attribute.as_str() == name)
}
