//! E15: the containers beside a worker.

use crate::case::Case;
use crate::finding::Report;
use crate::rule::Rule;
use crate::value::{has_token, items, plain, truth};
use crate::views::tasks::{Task, tasks};

/// The prefixes of addresses on the task's own loopback interface.
const LOOPBACK: [&str; 3] = ["http://127.", "http://localhost", "http://[::1]"];

pub(super) const RULES: [Rule; 1] = [Rule {
    id: "E15",
    title: "sidecars stop after the worker; the application that it forwards to is essential and restarts in place, other sidecars are not essential",
    reason: "ECS stops a container after those that depend on it, so running jobs keep what they need. An application that crashes is started again beside the worker, which pauses meanwhile. If it fails again, ECS stops the task: the worker drains, messages in hand return to the queue after their backoff, and a new task takes over. Were it not essential, a worker without its application would stay for ever. The end of another sidecar must not stop the worker.",
    fix: "DependsOn each sidecar on the worker. On the application Essential: true and RestartPolicy.Enabled: true, on other sidecars Essential: false.",
    at_bounds: false,
    check: sidecars_follow,
}];

fn sidecars_follow(case: &Case<'_>, report: &mut Report<'_>) {
    for task in tasks(case.stack).iter().filter(|task| task.ours && task.containers.len() > 1) {
        if truth(&task.container()["Essential"]) == Some(false) {
            report.at(task.id, task.resource, &task.pointer("/Essential"), "the worker is not essential");
        }
        let forwards = task.variable("DRUMLINE_FORWARD_TO");
        let has_application =
            forwards.is_some_and(|target| LOOPBACK.iter().any(|start| target.starts_with(start)));
        let sidecars = sidecars(task);
        // Essential by default, as in ECS.
        let essential: Vec<&Sidecar> = sidecars.iter().filter(|sidecar| sidecar.essential).collect();
        if has_application && essential.is_empty() {
            let found = "the worker forwards to an application that is not essential";
            report.at(task.id, task.resource, &format!("{}/Essential", sidecars[0].pointer), found);
        }
        for sidecar in essential {
            let Sidecar { name, pointer, restarts, .. } = sidecar;
            if !has_application {
                report.at(
                    task.id,
                    task.resource,
                    &format!("{pointer}/Essential"),
                    format!("{name} is essential"),
                );
            } else if !restarts {
                let found = format!("{name} does not restart in place");
                report.at(task.id, task.resource, &format!("{pointer}/RestartPolicy"), found);
            }
        }
        stop_after_worker(task, &sidecars, report);
    }
}

/// A container beside the worker.
struct Sidecar {
    name: String,
    pointer: String,
    essential: bool,
    restarts: bool,
}

fn sidecars(task: &Task<'_>) -> Vec<Sidecar> {
    let others = task.containers.iter().enumerate().filter(|(index, _)| *index != task.worker);
    others
        .map(|(index, container)| Sidecar {
            name: plain(&container["Name"]),
            pointer: format!("/ContainerDefinitions/{index}"),
            essential: truth(&container["Essential"]) != Some(false),
            restarts: truth(&container["RestartPolicy"]["Enabled"]) == Some(true),
        })
        .collect()
}

fn stop_after_worker(task: &Task<'_>, sidecars: &[Sidecar], report: &mut Report<'_>) {
    let waits_for: Vec<String> = items(task.container().get("DependsOn"))
        .iter()
        .map(|dependency| plain(&dependency["ContainerName"]))
        .collect();
    for sidecar in sidecars.iter().filter(|sidecar| !sidecar.name.is_empty() && !has_token(&sidecar.name)) {
        if !waits_for.contains(&sidecar.name) {
            let found = format!("the worker does not depend on {}, which may stop first", sidecar.name);
            report.at(task.id, task.resource, &task.pointer("/DependsOn"), found);
        }
    }
}
