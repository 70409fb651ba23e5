//! E01 to E05, E07: the containers of a worker's task.

use serde_json::Value;

use crate::case::Case;
use crate::finding::Report;
use crate::model::{Parameter, Target};
use crate::rule::Rule;
use crate::value::{has_token, int, is_known, number, plain, token_name, truth, whole_match};
use crate::views::tasks::{Task, tasks};

/// The allowed time between SIGTERM and SIGKILL, in seconds. Fargate allows up to 120. Less than the default of 30 leaves no
/// room for a drain. See
/// [the
/// parameter](https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html#container_definition_timeout).
const STOP_TIMEOUT: std::ops::RangeInclusive<i64> = 30..=120;

/// The minimum time between the end of the drain and SIGKILL, in seconds, for the last deletes and the end of the process.
const STOP_MARGIN_SECS: f64 = 5.0;

pub(super) const RULES: [Rule; 6] = [
    Rule {
        id: "E01",
        title: "`StopTimeout` is set, 30..120 on Fargate, and leaves 5 s after the worker's drain",
        reason: "A worker that is killed in its drain leaves messages hidden until their lease ends, and costs each a receive.",
        fix: "Set StopTimeout to DRUMLINE_SHUTDOWN_GRACE (25 s by default) plus 5 s or more.",
        at_bounds: true,
        check: stops_in_time,
    },
    Rule {
        id: "E02",
        title: "the worker's drain is shorter than the visibility timeout",
        reason: "Jobs that end in the drain need their lease until then, without depending on a renewal in a process that is stopping.",
        fix: "Lower DRUMLINE_SHUTDOWN_GRACE or raise the visibility timeout.",
        at_bounds: true,
        check: drains_within_lease,
    },
    Rule {
        id: "E03",
        title: "the worker has a read-only root and no root user, is not privileged, and has an init process",
        reason: "An attacker in a handler then cannot write files or become root. An init process reaps the processes that handlers start.",
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
        title: "every container's image has a digest or a version, never `latest`",
        reason: "With latest, two tasks of a service can run different code, and a rollback does not restore the old code.",
        fix: "Name the image by digest or version tag; give the parameter an AllowedPattern that refuses other images.",
        at_bounds: false,
        check: image_is_fixed,
    },
    Rule {
        id: "E07",
        title: "containers log by awslogs to a group of the stack that has a retention",
        reason: "A log group that is created automatically keeps its logs, and their cost, for ever.",
        fix: "Declare an AWS::Logs::LogGroup with RetentionInDays, and name it in awslogs-group.",
        at_bounds: false,
        check: logs_are_kept_for_a_while,
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
                "it is missing, so it is 30 s on Fargate and the host's setting elsewhere",
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
        for (index, container) in task.containers.iter().enumerate() {
            let image = plain(&container["Image"]);
            let at = format!("/ContainerDefinitions/{index}/Image");
            if let Some(parameter) = parameter_of(case, &task, &at, &image) {
                if let Some(allowed) =
                    parameter.pattern.as_deref().map_or(Some(MOVING[0]), |pattern| allows_moving(pattern))
                {
                    report.certainly_at(
                        task.id,
                        task.resource,
                        &at,
                        format!("its parameter allows {allowed}"),
                    );
                }
            } else if !image.contains("@sha256:") && !ends_in_token(&image) && is_moving(&image) {
                report.at(task.id, task.resource, &at, format!("{image} is the image that was pushed last"));
            }
        }
    }
}

/// Returns the parameter that is a property's whole value.
fn parameter_of<'a>(case: &Case<'a>, task: &Task<'_>, at: &str, text: &str) -> Option<&'a Parameter> {
    task.resource.references_at(at).find_map(|to| match to {
        Target::Parameter(name) => case.stack.parameters.get(name).filter(|parameter| {
            let value = parameter.value.as_ref().map(plain);
            value.map_or_else(|| token_name(text) == Some(name), |value| value == text)
        }),
        _ => None,
    })
}

/// Images that can refer to another image later.
const MOVING: [&str; 3] = ["registry.example/worker:latest", "registry.example/worker", "worker:latest"];

/// Returns the moving image that a pattern allows. A pattern with look-around is not checked, because it is not supported here.
fn allows_moving(pattern: &str) -> Option<&'static str> {
    let pattern = whole_match(pattern)?;
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
        for (index, container) in task.containers.iter().enumerate().filter(|(_, one)| one.is_object()) {
            let at = format!("/ContainerDefinitions/{index}/LogConfiguration");
            let logging = &container["LogConfiguration"];
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
            // O01 reports a missing retention at the group itself.
            if own.next().is_none() {
                report.at(task.id, task.resource, &group_at, "it is no group of this stack");
            }
        }
    }
}
