//! E01 to E05, E07, E08 and E15: the containers of a worker's task.

use serde_json::Value;

use crate::case::Case;
use crate::finding::Report;
use crate::rule::Rule;
use crate::value::{has_token, int, is_known, items, number, plain, token_name, truth};
use crate::views::tasks::{Task, tasks};

/// How long ECS may wait between SIGTERM and SIGKILL, in seconds: Fargate allows 120; below the default of 30 a drain has
/// no room. See
/// [the parameter](https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html#container_definition_timeout).
const STOP_TIMEOUT: std::ops::RangeInclusive<i64> = 30..=120;

/// What is left between the end of the drain and SIGKILL, in seconds, for the last deletes and the process's end.
const STOP_MARGIN_SECS: f64 = 5.0;

/// Parts of names of variables whose values are secrets.
const SECRETS: [&str; 8] =
    ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "API_KEY", "APIKEY", "PRIVATE_KEY", "ACCESS_KEY"];

/// Ends of names that say where a secret is and are none.
const POINTERS: [&str; 6] = ["_ARN", "_NAME", "_FILE", "_PATH", "_ID", "_URL"];

pub(super) const RULES: [Rule; 8] = [
    Rule {
        id: "E01",
        title: "`StopTimeout` is set, 30..120 on Fargate, and leaves 5 s after the worker's drain",
        reason: "A worker that is killed in its drain leaves messages hidden until their lease ends, and burns a receive of each.",
        fix: "Set StopTimeout to DRUMLINE_SHUTDOWN_GRACE (25 s by default) plus 5 s or more.",
        at_bounds: true,
        check: stops_in_time,
    },
    Rule {
        id: "E02",
        title: "the worker's drain is shorter than the visibility timeout",
        reason: "Jobs that end in the drain need their lease until then; it should not hang on a renewal in a process that is stopping.",
        fix: "Lower DRUMLINE_SHUTDOWN_GRACE or raise the visibility timeout.",
        at_bounds: true,
        check: drains_within_lease,
    },
    Rule {
        id: "E03",
        title: "the worker has a read-only root and no root user, is not privileged, and has an init process",
        reason: "What breaks into a handler then finds nothing to write to and nothing to become; an init process reaps what handlers start.",
        fix: "ReadonlyRootFilesystem: true, User: \"65532\", Privileged left out, LinuxParameters.InitProcessEnabled: true.",
        at_bounds: false,
        check: confined,
    },
    Rule {
        id: "E04",
        title: "the worker has a health check in exec form",
        reason: "The image has no shell: a check through one always fails, and ECS replaces healthy tasks for ever. Without a check a stuck worker stays.",
        fix: "HealthCheck.Command: [CMD, /usr/local/bin/drumline, health].",
        at_bounds: false,
        check: health_is_asked,
    },
    Rule {
        id: "E05",
        title: "the worker's image has a digest or a version, never `latest`",
        reason: "With latest two tasks of a service run different code, and a rollback brings nothing back.",
        fix: "Name the image by digest or version tag; give the parameter an AllowedPattern that refuses the rest.",
        at_bounds: false,
        check: image_is_fixed,
    },
    Rule {
        id: "E07",
        title: "containers log by awslogs to a group of the stack that has a retention",
        reason: "What a group that makes itself keeps is kept, and paid, for ever.",
        fix: "Declare an AWS::Logs::LogGroup with RetentionInDays, and name it in awslogs-group.",
        at_bounds: false,
        check: logs_are_kept_for_a_while,
    },
    Rule {
        id: "E08",
        title: "no environment variable in plain text that looks like a secret",
        reason: "Environments are shown in consoles, in logs and to everybody who may describe the task.",
        fix: "Use Secrets with the ARN of a secret or a SecureString.",
        at_bounds: false,
        check: no_plain_secrets,
    },
    Rule {
        id: "E15",
        title: "sidecars are not essential, and stop after the worker",
        reason: "A sidecar that ends takes an essential task with it; one that stops first takes away what running jobs need. ECS stops a container after those that depend on it.",
        fix: "Essential: false on the sidecar, and DependsOn the sidecar on the worker.",
        at_bounds: false,
        check: sidecars_follow,
    },
];

fn stops_in_time(case: &Case<'_>, report: &mut Report<'_>) {
    for task in tasks(case.stack) {
        let at = task.pointer("/StopTimeout");
        let Some(value) = task.container().get("StopTimeout") else {
            report.at(
                task.id,
                task.resource,
                &at,
                "it is missing, so 30 s are left on Fargate and whatever the host has elsewhere",
            );
            continue;
        };
        let Some(secs) = int(value) else { continue };
        if secs < *STOP_TIMEOUT.start() || task.is_fargate() && secs > *STOP_TIMEOUT.end() {
            report.at(task.id, task.resource, &at, format!("it is {secs} s"));
        }
        if let (Some(grace), Some(stop), true) = (task.grace(), number(value), task.ours)
            && grace + STOP_MARGIN_SECS > stop
        {
            report.at(
                task.id,
                task.resource,
                &at,
                format!("it is {stop} s, the drain takes up to {grace} s"),
            );
        }
    }
}

fn drains_within_lease(case: &Case<'_>, report: &mut Report<'_>) {
    for task in tasks(case.stack).iter().filter(|task| task.ours) {
        if let (Some(grace), Some(lease)) = (task.grace(), task.lease(case.stack))
            && grace >= lease
        {
            let at = task.variable_pointer("DRUMLINE_SHUTDOWN_GRACE");
            report.at(
                task.id,
                task.resource,
                &at,
                format!("the drain takes up to {grace} s, the lease {lease} s"),
            );
        }
    }
}

fn confined(case: &Case<'_>, report: &mut Report<'_>) {
    for task in tasks(case.stack) {
        let container = task.container();
        let is_on = |value: &Value| truth(value) == Some(true);
        let user = container.get("User").map(plain);
        let name = user.as_deref().map(|user| user.split(':').next().unwrap_or_default());
        let problems = [
            (
                !is_on(&container["ReadonlyRootFilesystem"]),
                "/ReadonlyRootFilesystem",
                "its root can be written to",
            ),
            (matches!(name, None | Some("" | "root" | "0")), "/User", "it may run as root"),
            (is_on(&container["Privileged"]), "/Privileged", "it is privileged"),
            (
                !is_on(&container["LinuxParameters"]["InitProcessEnabled"]),
                "/LinuxParameters/InitProcessEnabled",
                "it has no init process",
            ),
        ];
        for (_, at, found) in problems.iter().filter(|(is_so, _, _)| *is_so) {
            report.at(task.id, task.resource, &task.pointer(at), *found);
        }
    }
}

fn health_is_asked(case: &Case<'_>, report: &mut Report<'_>) {
    for task in tasks(case.stack) {
        let at = task.pointer("/HealthCheck/Command");
        match task.container()["HealthCheck"]["Command"].as_array().map(Vec::as_slice) {
            None => report.at(task.id, task.resource, &at, "it has no health check"),
            Some([form, _, ..]) if form == "CMD" || !is_known(form) => {}
            Some(_) => report.at(task.id, task.resource, &at, "it needs a shell, or asks nothing"),
        }
    }
}

fn image_is_fixed(case: &Case<'_>, report: &mut Report<'_>) {
    for task in tasks(case.stack) {
        let image = plain(&task.container()["Image"]);
        let at = task.pointer("/Image");
        if let Some(parameter) = token_name(&image).and_then(|name| case.stack.parameters.get(name)) {
            if let Some(allowed) =
                parameter.pattern.as_deref().map_or(Some(MOVING[0]), |pattern| allows_moving(pattern))
            {
                report.certainly_at(task.id, task.resource, &at, format!("its parameter allows {allowed}"));
            }
            continue;
        }
        if !image.contains("@sha256:") && !ends_in_token(&image) && is_moving(&image) {
            report.at(task.id, task.resource, &at, format!("{image} is whatever was pushed last"));
        }
    }
}

/// Images that mean another one tomorrow.
const MOVING: [&str; 3] = ["registry.example/worker:latest", "registry.example/worker", "worker:latest"];

/// Which moving image a pattern allows. A pattern with look-around is the template's own care: it is not understood here.
fn allows_moving(pattern: &str) -> Option<&'static str> {
    let pattern = regex_lite::Regex::new(&format!("^(?:{pattern})$")).ok()?;
    MOVING.into_iter().find(|image| pattern.is_match(image))
}

fn is_moving(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn ends_in_token(image: &str) -> bool {
    has_token(image) && image.ends_with('}')
}

fn logs_are_kept_for_a_while(case: &Case<'_>, report: &mut Report<'_>) {
    for task in tasks(case.stack) {
        let at = task.pointer("/LogConfiguration");
        let logging = &task.container()["LogConfiguration"];
        if logging["LogDriver"] != "awslogs" {
            report.at(task.id, task.resource, &format!("{at}/LogDriver"), "it does not log by awslogs");
            continue;
        }
        let group_at = format!("{at}/Options/awslogs-group");
        let name = plain(&logging["Options"]["awslogs-group"]);
        let groups = case.stack.of_kind("AWS::Logs::LogGroup");
        let mut own = groups.filter(|(id, group)| {
            group.text("/LogGroupName") == Some(&name) || task.resource.refers_to(&group_at, id)
        });
        // That the group has no retention is told by O01, where it is.
        if own.next().is_none() {
            report.at(task.id, task.resource, &group_at, "it is no group of this stack");
        }
    }
}

/// Whether a variable's name and value look like a secret in plain text.
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
            // What is generated by the stack or resolved from a secret at deployment is no plain text in the template.
            if !plain(value).contains("{{resolve:") {
                report.at(id, function, &at, format!("{name} is in plain text"));
            }
        }
    }
}

fn sidecars_follow(case: &Case<'_>, report: &mut Report<'_>) {
    for task in tasks(case.stack).iter().filter(|task| task.ours && task.containers.len() > 1) {
        let waits_for: Vec<String> = items(task.container().get("DependsOn"))
            .iter()
            .map(|dependency| plain(&dependency["ContainerName"]))
            .collect();
        if truth(&task.container()["Essential"]) == Some(false) {
            report.at(task.id, task.resource, &task.pointer("/Essential"), "the worker is not essential");
        }
        for (index, sidecar) in task.containers.iter().enumerate().filter(|(index, _)| *index != task.worker)
        {
            sidecar_follows(task, index, sidecar, &waits_for, report);
        }
    }
}

fn sidecar_follows(
    task: &Task<'_>,
    index: usize,
    sidecar: &Value,
    waits_for: &[String],
    report: &mut Report<'_>,
) {
    let name = plain(&sidecar["Name"]);
    let at = format!("/ContainerDefinitions/{index}");
    if truth(&sidecar["Essential"]) != Some(false) {
        report.at(task.id, task.resource, &format!("{at}/Essential"), format!("{name} is essential"));
    }
    if !waits_for.contains(&name) && sidecar.is_object() && !has_token(&name) {
        let at = task.pointer("/DependsOn");
        report.at(
            task.id,
            task.resource,
            &at,
            format!("the worker does not depend on {name}, which may stop first"),
        );
    }
}
