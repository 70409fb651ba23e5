//! T03 and T05: parameters.

use std::ffi::OsStr;
use std::path::Path;

use serde_json::Value;

use crate::case::Case;
use crate::finding::Report;
use crate::model::{Parameter, Target};
use crate::rule::Rule;
use crate::value::{number, plain};
use crate::views::tasks::VISIBILITY_PARAMETER;

pub(super) const RULES: [Rule; 2] = [
    Rule {
        id: "T03",
        title: "every parameter is used, described and bounded",
        reason: "A value out of bounds fails in the middle of a deployment, or works until the first incident.",
        fix: "Add a Description, and MinValue and MaxValue, AllowedValues, AllowedPattern or an AWS type; remove unused parameters.",
        at_bounds: false,
        check: parameters_are_cared_for,
    },
    Rule {
        id: "T05",
        title: "a template and the Terraform module of the same name have the same defaults and bounds, name by name; all that are used together have the same default of `VisibilityTimeoutSeconds`",
        reason: "A change of the tool must not change the service. A worker has to know its queue's visibility timeout.",
        fix: "Give it the same default and bounds everywhere.",
        at_bounds: false,
        check: templates_agree,
    },
];

fn parameters_are_cared_for(case: &Case<'_>, report: &mut Report<'_>) {
    let stack = case.stack;
    let of_resources = stack.resources.values().flat_map(|resource| &resource.references);
    let of_outputs = stack.outputs.values().flat_map(|output| &output.references);
    let all: Vec<_> = of_resources.chain(of_outputs).chain(&stack.references).collect();
    for (name, parameter) in &stack.parameters {
        let is_used =
            all.iter().any(|reference| matches!(&reference.to, Target::Parameter(used) if used == name));
        let problems = [
            (!is_used, "not used"),
            (parameter.description.trim().is_empty(), "not described"),
            (!is_bounded(parameter), "not bounded"),
        ];
        let problems: Vec<&str> =
            problems.iter().filter(|(is_so, _)| *is_so).map(|(_, problem)| *problem).collect();
        if !problems.is_empty() {
            report.parameter(name, parameter, format!("it is {}", problems.join(" and ")));
        }
    }
}

fn is_bounded(parameter: &Parameter) -> bool {
    if !parameter.allowed.is_empty() {
        return true;
    }
    match parameter.kind.as_str() {
        "Number" => parameter.min.is_some() && parameter.max.is_some(),
        "String" | "CommaDelimitedList" => parameter.pattern.is_some() || parameter.max_length.is_some(),
        // The type defines the allowed values.
        _ => true,
    }
}

fn templates_agree(case: &Case<'_>, report: &mut Report<'_>) {
    let earlier = case.together.iter().take_while(|stack| !std::ptr::eq(*stack, case.stack));
    for other in earlier {
        let is_twin = stem(&other.file) == stem(&case.stack.file) && other.dialect != case.stack.dialect;
        for (name, parameter) in
            case.stack.parameters.iter().filter(|(name, _)| is_twin || *name == VISIBILITY_PARAMETER)
        {
            let Some(theirs) = other.parameters.get(name) else { continue };
            // A worker may need a longer visibility timeout than a queue.
            let found = difference(parameter, theirs).filter(|(what, _, _)| is_twin || *what == "default");
            if let Some((what, own, their)) = found {
                report.parameter(
                    name,
                    parameter,
                    format!("its {what} is {own}, in {} it is {their}", other.file),
                );
            }
        }
    }
}

/// Returns a file's name without its extension, or a folder's name.
fn stem(file: &str) -> Option<&OsStr> {
    Path::new(file).file_stem()
}

/// Returns the name of the property that differs, with both values.
fn difference(own: &Parameter, theirs: &Parameter) -> Option<(&'static str, String, String)> {
    let text = |value: &Option<Value>| value.as_ref().map_or_else(|| "none".to_owned(), comparable);
    let bound = |bound: Option<f64>| bound.map_or_else(|| "none".to_owned(), |number| number.to_string());
    let list = |values: &[Value]| values.iter().map(comparable).collect::<Vec<_>>().join(", ");
    let all = [
        ("default", text(&own.default), text(&theirs.default)),
        ("least value", bound(own.min), bound(theirs.min)),
        ("greatest value", bound(own.max), bound(theirs.max)),
        ("list of values", list(&own.allowed), list(&theirs.allowed)),
    ];
    all.into_iter().find(|(_, own, theirs)| own != theirs)
}

/// Returns a value in which equal numbers have equal texts.
fn comparable(value: &Value) -> String {
    number(value).map_or_else(|| plain(value), |number| number.to_string())
}
