//! T01, T02, T04 and T06: the template as a whole.

use std::collections::{BTreeMap, BTreeSet};

use crate::case::Case;
use crate::cloudformation::sam::MADE;
use crate::finding::Report;
use crate::model::{Dialect, Output, Resource, Stack, Target};
use crate::rule::Rule;
use crate::value::one_or_many;
use crate::views::functions::{consuming_functions, mappings};
use crate::views::metrics::{Alarm, alarms, composite_alarms};
use crate::views::policies::role_at;
use crate::views::queues::queues;
use crate::views::tasks::tasks;

pub(super) const RULES: [Rule; 4] = [
    Rule {
        id: "T01",
        title: "the outputs contain what other stacks need: URL, ARN and name of every queue; role, mapping, log group and name of a worker; alarms; the dashboard",
        reason: "Without them, later stacks and operators have to look up these values in a console, or guess them.",
        fix: "Add the output.",
        at_bounds: false,
        check: outputs_are_there,
    },
    Rule {
        id: "T02",
        title: "every reference exists, and no resource waits for itself",
        reason: "CloudFormation refuses both.",
        fix: "Correct the name; break the cycle by building an ARN from a name.",
        at_bounds: false,
        check: references_resolve,
    },
    Rule {
        id: "T04",
        title: "a worker's service propagates tags",
        reason: "The costs of tasks without tags cannot be assigned to an owner.",
        fix: "Set PropagateTags: SERVICE.",
        at_bounds: false,
        check: tags_propagate,
    },
    Rule {
        id: "T06",
        title: "the template does not make cfn-lint ignore problems",
        reason: "An ignore outlives its reason, and hides the next mistake of its kind.",
        fix: "Fix what it reports.",
        at_bounds: false,
        check: no_lint_ignores,
    },
];

fn outputs_are_there(case: &Case<'_>, report: &mut Report<'_>) {
    let outputs = &case.stack.outputs;
    let is_out = |text: &str| {
        outputs
            .values()
            .any(|output| one_or_many(&output.value).into_iter().any(|value| value.as_str() == Some(text)))
    };
    let refers = |output: &Output, id: &str, attribute: Option<&str>| {
        output.references.iter().any(|reference| match &reference.to {
            Target::Resource { id: to, attribute: of } => {
                to == id && attribute.is_none_or(|name| of.as_deref() == Some(name))
            }
            _ => false,
        })
    };
    let is_referred = |id: &str, attribute| outputs.values().any(|output| refers(output, id, attribute));
    let mut needed = |id: &str, resource: &Resource, what: &str, is_there: bool| {
        if !is_there && resource.metadata[MADE].is_null() {
            report.at(id, resource, "", format!("its {what} is no output"));
        }
    };
    for queue in queues(case.stack) {
        needed(queue.id, queue.resource, "URL", is_out(&queue.url()));
        needed(queue.id, queue.resource, "ARN", is_out(&queue.arn));
        needed(queue.id, queue.resource, "name", is_out(&queue.name));
    }
    for function in consuming_functions(case.stack) {
        needed(function.id, function.resource, "name", is_referred(function.id, None));
        if let Some(role) = role_at(case.stack, function.resource, "/Role") {
            needed(role.id, role.resource, "ARN", is_referred(role.id, Some("Arn")));
        }
        for (id, group) in log_groups(case.stack, function.resource, "/LoggingConfig/LogGroup") {
            needed(id, group, "name", is_referred(id, None));
        }
    }
    for mapping in mappings(case.stack) {
        needed(mapping.id, mapping.resource, "id", is_referred(mapping.id, None));
    }
    for task in tasks(case.stack) {
        for (id, service) in task.services(case.stack) {
            needed(id, service, "name", is_referred(id, None));
        }
        if let Some(role) = &task.role {
            needed(role.id, role.resource, "ARN", is_referred(role.id, Some("Arn")));
        }
        let at = task.pointer("/LogConfiguration/Options/awslogs-group");
        for (id, group) in log_groups(case.stack, task.resource, &at) {
            needed(id, group, "name", is_referred(id, None));
        }
    }
    let is_alone =
        |alarm: &&Alarm<'_>| !alarm.scales(case.stack) && !alarm.is_unclear() && !alarm.is_part(case.stack);
    for alarm in alarms(case.stack).iter().filter(is_alone) {
        needed(alarm.id, alarm.resource, "name", is_referred(alarm.id, None));
    }
    for (id, composite) in composite_alarms(case.stack) {
        needed(id, composite, "name", is_referred(id, None));
    }
    for (id, dashboard) in case.stack.of_kind("AWS::CloudWatch::Dashboard") {
        needed(id, dashboard, "URL", is_referred(id, None));
    }
}

fn log_groups<'a>(stack: &'a Stack, owner: &'a Resource, at: &str) -> Vec<(&'a str, &'a Resource)> {
    stack.of_kind("AWS::Logs::LogGroup").filter(|(id, _)| owner.refers_to(at, id)).collect()
}

fn references_resolve(case: &Case<'_>, report: &mut Report<'_>) {
    let stack = case.stack;
    for (id, resource) in &stack.resources {
        for reference in &resource.references {
            match &reference.to {
                Target::Missing(name) => {
                    report.at(id, resource, &reference.at, format!("there is no {name}"));
                }
                Target::Resource { id: to, .. } if is_left_out(stack, to) => {
                    let found = format!("{to} is left out by its condition");
                    report.at(id, resource, &reference.at, found);
                }
                _ => {}
            }
        }
        for name in resource.depends_on.iter().filter(|name| !stack.declared.contains(name)) {
            report.at(id, resource, "", format!("it depends on {name}, which is not there"));
        }
    }
    let elsewhere = stack.outputs.values().flat_map(|output| &output.references).chain(&stack.references);
    for name in elsewhere.filter_map(|reference| match &reference.to {
        Target::Missing(name) => Some(name),
        _ => None,
    }) {
        report.whole(None, format!("there is no {name}, which an output or a condition refers to"));
    }
    for (name, output) in &stack.outputs {
        for reference in &output.references {
            if let Target::Resource { id, .. } = &reference.to
                && is_left_out(stack, id)
            {
                report
                    .whole(None, format!("output {name} refers to {id}, which is left out by its condition"));
            }
        }
    }
    for id in in_circles(stack) {
        report.at(id, &stack.resources[id], "", "it waits for itself");
    }
}

/// Returns true if a resource's condition is false, so that CloudFormation refuses a reference to it. Terraform has empty lists
/// instead.
fn is_left_out(stack: &Stack, id: &str) -> bool {
    stack.dialect == Dialect::CloudFormation
        && !stack.resources.contains_key(id)
        && stack.declared.iter().any(|declared| declared == id)
}

/// Returns the resources that cannot be created because each waits for another one of them.
fn in_circles(stack: &Stack) -> BTreeSet<&str> {
    let mut waits: BTreeMap<&str, BTreeSet<&str>> =
        stack.resources.iter().map(|(id, resource)| (id.as_str(), waits_for(stack, resource))).collect();
    // First removes resources that wait for no remaining one, then those that no remaining one waits for.
    loop {
        let free: Vec<&str> = waits.iter().filter(|(_, on)| on.is_empty()).map(|(id, _)| *id).collect();
        let awaited: BTreeSet<&str> = waits.values().flatten().copied().collect();
        let last: Vec<&str> = waits.keys().copied().filter(|id| !awaited.contains(id)).collect();
        if free.is_empty() && last.is_empty() {
            return waits.into_keys().collect();
        }
        let gone: BTreeSet<&str> = free.into_iter().chain(last).collect();
        waits.retain(|id, _| !gone.contains(id));
        for on in waits.values_mut() {
            on.retain(|id| !gone.contains(id));
        }
    }
}

fn waits_for<'a>(stack: &'a Stack, resource: &'a Resource) -> BTreeSet<&'a str> {
    let referred = resource.references.iter().filter_map(|reference| match &reference.to {
        // Rule Q08 reports the cycle of two queues, with its solution.
        _ if reference.at.starts_with("/RedriveAllowPolicy") => None,
        // SAM's events are separate resources that wait for the function.
        _ if reference.at.starts_with("/Events") => None,
        Target::Resource { id, .. } => Some(id),
        _ => None,
    });
    let all = referred.chain(&resource.depends_on);
    all.filter_map(|id| stack.resources.get_key_value(id)).map(|(id, _)| id.as_str()).collect()
}

fn tags_propagate(case: &Case<'_>, report: &mut Report<'_>) {
    let at = "/PropagateTags";
    for (id, service) in tasks(case.stack).iter().flat_map(|task| task.services(case.stack)) {
        if service.get(at).is_none_or(|from| from == "NONE") {
            report.at(id, service, at, "its tasks have no tags");
        }
    }
}

fn no_lint_ignores(case: &Case<'_>, report: &mut Report<'_>) {
    for line in &case.stack.lint_ignores {
        report.whole(Some(*line), "cfn-lint is configured in the template");
    }
}
