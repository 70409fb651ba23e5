//! E08 and E16: environments contain no secret in plain text.

use serde_json::Value;

use crate::case::Case;
use crate::finding::Report;
use crate::model::{Resource, Target};
use crate::rule::Rule;
use crate::value::{items, plain};
use crate::views::functions::consuming_functions;
use crate::views::tasks::tasks;

/// Parts of the names of variables that contain secrets.
const SECRETS: [&str; 8] =
    ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "API_KEY", "APIKEY", "PRIVATE_KEY", "ACCESS_KEY"];

/// Suffixes of names that point to a secret and contain none.
const POINTERS: [&str; 6] = ["_ARN", "_NAME", "_FILE", "_PATH", "_ID", "_URL"];

/// Suffixes of names of variables that contain addresses.
const ADDRESSES: [&str; 5] = ["_URL", "_URI", "_DSN", "_TO", "_ADDRESS"];

/// Addresses with a password.
const WITH_PASSWORD: [&str; 3] = [
    "redis://user:password@host.example:6379/0",
    "postgres://user:password@host.example/jobs",
    "https://user:password@host.example/jobs",
];

pub(super) const RULES: [Rule; 2] = [
    Rule {
        id: "E08",
        title: "no environment variable in plain text that looks like a secret",
        reason: "Environments are shown in consoles, in logs and to every principal that may describe the task.",
        fix: "Use Secrets with the ARN of a secret or a SecureString.",
        at_bounds: false,
        check: no_plain_secrets,
    },
    Rule {
        id: "E16",
        title: "a parameter that becomes an address in an environment refuses one with a password",
        reason: "The address of a store or a target may hold a password, and a parameter that takes it shows it in every console that shows the stack or the task.",
        fix: "Give the parameter an AllowedPattern without @, and take addresses with passwords from a secret.",
        at_bounds: false,
        check: addresses_hold_no_password,
    },
];

/// Returns true if a variable's name and value look like a secret in plain text.
fn is_secret(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let named =
        SECRETS.iter().any(|part| name.contains(part)) && !POINTERS.iter().any(|end| name.ends_with(end));
    let credentials = || {
        let authority = value.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
        authority.and_then(|authority| authority.rsplit_once('@')).is_some_and(|(user, _)| user.contains(':'))
    };
    named && !value.is_empty() || credentials()
}

fn no_plain_secrets(case: &Case<'_>, report: &mut Report<'_>) {
    for task in tasks(case.stack) {
        for (index, container) in task.containers.iter().enumerate() {
            for (place, pair) in items(container.get("Environment")).iter().enumerate() {
                let name = plain(&pair["Name"]);
                if is_secret(&name, &plain(&pair["Value"])) {
                    let at = format!("/ContainerDefinitions/{index}/Environment/{place}");
                    report.at(task.id, task.resource, &at, format!("{name} is in plain text"));
                }
            }
        }
    }
    for (id, function) in case.stack.of_kind("AWS::Lambda::Function") {
        let variables = function.get("/Environment/Variables").and_then(Value::as_object);
        for (name, value) in
            variables.into_iter().flatten().filter(|(name, value)| is_secret(name, &plain(value)))
        {
            let at = format!("/Environment/Variables/{name}");
            // A value that the stack generates, or that is resolved from a secret at deployment, is not plain text in the
            // template.
            if !plain(value).contains("{{resolve:") {
                report.at(id, function, &at, format!("{name} is in plain text"));
            }
        }
    }
}

fn addresses_hold_no_password(case: &Case<'_>, report: &mut Report<'_>) {
    for task in tasks(case.stack) {
        for (index, container) in task.containers.iter().enumerate() {
            for (place, pair) in items(container.get("Environment")).iter().enumerate() {
                let at = format!("/ContainerDefinitions/{index}/Environment/{place}");
                refuses_password(case, report, (task.id, task.resource, &at), &plain(&pair["Name"]));
            }
        }
    }
    for function in consuming_functions(case.stack) {
        let variables = function.resource.get("/Environment/Variables").and_then(Value::as_object);
        for name in variables.into_iter().flatten().map(|(name, _)| name) {
            let at = format!("/Environment/Variables/{name}");
            refuses_password(case, report, (function.id, function.resource, &at), name);
        }
    }
}

fn refuses_password(
    case: &Case<'_>,
    report: &mut Report<'_>,
    (id, resource, at): (&str, &Resource, &str),
    variable: &str,
) {
    if !ADDRESSES.iter().any(|end| variable.ends_with(end)) {
        return;
    }
    for to in resource.references_at(at) {
        let Target::Parameter(name) = to else { continue };
        let Some(parameter) = case.stack.parameters.get(name) else { continue };
        let allowed = WITH_PASSWORD.into_iter().find(|address| parameter.takes(address));
        if let Some(allowed) = allowed {
            report.certainly_at(id, resource, at, format!("{name}, of which it is made, allows {allowed}"));
            return;
        }
    }
}
