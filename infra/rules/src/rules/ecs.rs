//! E06, E09 to E14: tasks and services of workers.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::case::{Case, Host};
use crate::finding::Report;
use crate::model::{Resource, Target};
use crate::rule::Rule;
use crate::value::{has_token, int, is_known, items, number, plain, token_name, truth};
use crate::views::functions::consuming_functions;
use crate::views::scaling::targets;
use crate::views::tasks::{Task, tasks};

/// Fargate's CPU units with the memory sizes of each, in MiB: minimum, maximum, step. See
/// [the page](https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html).
const FARGATE_SIZES: [(i64, i64, i64, i64); 7] = [
    (256, 512, 2048, 512),
    (512, 1024, 4096, 1024),
    (1024, 2048, 8192, 1024),
    (2048, 4096, 16_384, 1024),
    (4096, 8192, 30_720, 1024),
    (8192, 16_384, 61_440, 4096),
    (16_384, 32_768, 122_880, 8192),
];

/// The processor architectures that ECS supports for Linux.
const ARCHITECTURES: [&str; 2] = ["ARM64", "X86_64"];

/// HTTPS, the port of all AWS services.
const HTTPS: i64 = 443;

/// A queue URL for the parser if the deployment sets it.
const SAMPLE_URL: &str = "https://sqs.eu-central-1.amazonaws.com/000000000000/jobs";

pub(super) const RULES: [Rule; 7] = [
    Rule {
        id: "E06",
        title: "a worker's task names its processor architecture and, on Fargate, is of a legal size",
        reason: "Left out, the architecture is x86-64, on which an image for arm64 does not start. A size that does not exist fails when the first task starts.",
        fix: "Set RuntimePlatform.CpuArchitecture to ARM64, which costs a fifth less for the same work, or X86_64; and a memory that goes with Cpu.",
        at_bounds: false,
        check: legal_size,
    },
    Rule {
        id: "E09",
        title: "the environment loads in the runtime's own parser, and URL, visibility and concurrency come from parameters or the queue",
        reason: "A worker with settings that it refuses exits with 64 at once, in a loop. Numbers that are written twice drift apart.",
        fix: "Correct the setting; refer to the parameter or the queue that the rest of the stack uses.",
        at_bounds: true,
        check: environment_loads,
    },
    Rule {
        id: "E10",
        title: "no public address unless a parameter asks for one, no ingress, and egress only to port 443",
        reason: "A worker opens connections and accepts none. A closed port needs no urgent patches. In a public subnet a task needs a public address to reach AWS.",
        fix: "AssignPublicIp: DISABLED or a parameter with that default, a security group without ingress and with egress to TCP 443 only.",
        at_bounds: false,
        check: closed_to_the_network,
    },
    Rule {
        id: "E11",
        title: "a worker's service has a deployment circuit breaker with rollback",
        reason: "A version that does not start is otherwise started again for hours, and each start uses up receives.",
        fix: "Set DeploymentConfiguration.DeploymentCircuitBreaker: { Enable: true, Rollback: true }.",
        at_bounds: false,
        check: rolls_back,
    },
    Rule {
        id: "E12",
        title: "if Spot is used, a base of at least one task is on demand",
        reason: "Spot capacity can disappear everywhere at once; then no task processes the queue.",
        fix: "Give the on-demand capacity provider Base: 1.",
        at_bounds: false,
        check: base_on_demand,
    },
    Rule {
        id: "E13",
        title: "a scaled service has no `DesiredCount`",
        reason: "Every deployment would reset the count, even during a backlog.",
        fix: "Remove DesiredCount (Terraform: ignore_changes = [desired_count]).",
        at_bounds: false,
        check: count_is_scaled,
    },
    Rule {
        id: "E14",
        title: "task protection is on if a handler may take longer than `StopTimeout`",
        reason: "Scale-in and deployments would kill jobs that cannot end in time, again and again. The worker asks for protection only \
                 while a handler is older than the shutdown grace, so short jobs block neither.",
        fix: "Set DRUMLINE_TASK_PROTECTION to on, or lower DRUMLINE_HANDLER_TIMEOUT below StopTimeout.",
        at_bounds: false,
        check: long_jobs_are_protected,
    },
];

fn legal_size(case: &Case<'_>, report: &mut Report<'_>) {
    for task in tasks(case.stack) {
        let at = "/RuntimePlatform/CpuArchitecture";
        match task.resource.text(at) {
            None => report.at(task.id, task.resource, at, "it is not set"),
            Some(named) if ARCHITECTURES.contains(&named) || has_token(named) => {}
            Some(other) => report.at(task.id, task.resource, at, format!("it is {other}")),
        }
        if !task.is_fargate() {
            continue;
        }
        let size = |at: &str| task.resource.get(at).and_then(int);
        match (size("/Cpu"), size("/Memory")) {
            (Some(cpu), Some(memory)) => {
                let legal = FARGATE_SIZES.iter().any(|(units, least, greatest, step)| {
                    *units == cpu && (*least..=*greatest).contains(&memory) && (memory - least) % step == 0
                });
                if !legal {
                    report.at(
                        task.id,
                        task.resource,
                        "/Memory",
                        format!("Fargate has no {cpu} units with {memory} MiB"),
                    );
                }
            }
            _ if task.resource.get("/Cpu").is_none() || task.resource.get("/Memory").is_none() => {
                report.at(task.id, task.resource, "", "Fargate needs Cpu and Memory on the task");
            }
            _ => {}
        }
    }
}

/// Returns an environment as the process will see it, as far as it is known: queue URLs are made up, and other values that are
/// known only after the deployment are left out.
fn sample(
    variables: impl Iterator<Item = (String, String)>,
    queue_name: Option<&str>,
) -> BTreeMap<String, String> {
    let sampled = variables.filter_map(|(name, value)| match token_name(&value) {
        _ if !name.starts_with("DRUMLINE_") => None,
        Some(_) if name == "DRUMLINE_QUEUE_URL" => {
            let known = queue_name.filter(|name| !has_token(name)).unwrap_or("jobs");
            Some((name, format!("{}{known}", SAMPLE_URL.trim_end_matches("jobs"))))
        }
        _ => (!has_token(&value)).then_some((name, value)),
    });
    sampled.collect()
}

fn environment_loads(case: &Case<'_>, report: &mut Report<'_>) {
    for task in tasks(case.stack).iter().filter(|task| task.ours) {
        let at = task.pointer("/Environment");
        let queue_name = task.queue.as_ref().map(|queue| queue.name.as_str());
        loads(
            case,
            report,
            (task.id, task.resource, &at),
            &sample(task.environment(), queue_name),
            Host::Consumer,
        );
        let place = |name: &str| task.variable(name).map(|_| task.variable_pointer(name));
        come_from_parameters(report, task.id, task.resource, place);
    }
    for function in consuming_functions(case.stack).iter().filter(|function| function.is_ours()) {
        let at = "/Environment/Variables";
        let variables = function.resource.get(at).and_then(|variables| variables.as_object());
        let variables = variables.into_iter().flatten().map(|(name, value)| (name.clone(), plain(value)));
        loads(case, report, (function.id, function.resource, at), &sample(variables, None), Host::Lambda);
        let place = |name: &str| {
            let pointer = format!("{at}/{name}");
            function.resource.get(&pointer).map(|_| pointer)
        };
        come_from_parameters(report, function.id, function.resource, place);
    }
}

fn loads(
    case: &Case<'_>,
    report: &mut Report<'_>,
    at: (&str, &Resource, &str),
    variables: &BTreeMap<String, String>,
    host: Host,
) {
    let Some(parse) = case.options.environment else { return };
    for problem in parse(variables, host).err().into_iter().flatten() {
        report.at(at.0, at.1, at.2, problem);
    }
}

fn come_from_parameters(
    report: &mut Report<'_>,
    id: &str,
    resource: &Resource,
    place: impl Fn(&str) -> Option<String>,
) {
    for name in ["DRUMLINE_QUEUE_URL", "DRUMLINE_VISIBILITY_TIMEOUT", "DRUMLINE_CONCURRENCY"] {
        let Some(at) = place(name) else { continue };
        let comes = resource
            .references_at(&at)
            .any(|to| matches!(to, Target::Parameter(_) | Target::Resource { .. } | Target::Import));
        if !comes {
            report.at(id, resource, &at, format!("{name} is written out"));
        }
    }
}

/// Returns the services that run a worker.
fn services<'a>(case: &Case<'a>) -> Vec<(&'a str, &'a Resource)> {
    tasks(case.stack).iter().flat_map(|task| task.services(case.stack)).collect()
}

const NETWORK: &str = "/NetworkConfiguration/AwsvpcConfiguration";

fn closed_to_the_network(case: &Case<'_>, report: &mut Report<'_>) {
    for (id, service) in services(case) {
        let at = format!("{NETWORK}/AssignPublicIp");
        let awsvpc = service.get(NETWORK).is_some();
        let is_closed = |assigned: &str| assigned == "DISABLED" || has_token(assigned);
        if awsvpc && !service.text(&at).is_some_and(is_closed) && !is_asked_for(case, service, &at) {
            report.at(id, service, &at, "its tasks may get public addresses");
        }
        for (group_id, group) in case.stack.of_kind("AWS::EC2::SecurityGroup") {
            if service.refers_to(&format!("{NETWORK}/SecurityGroups"), group_id) {
                closed_group(case, report, group_id, group);
            }
        }
    }
}

/// Returns true if a parameter's value differs from its default, which is no public address.
fn is_asked_for(case: &Case<'_>, service: &Resource, at: &str) -> bool {
    service.references_at(at).any(|to| match to {
        Target::Parameter(name) => case.stack.parameters.get(name).is_some_and(|parameter| {
            let is_closed = |value: &Value| value == "DISABLED" || value == &Value::Bool(false);
            parameter.default.as_ref().is_some_and(is_closed) && parameter.value != parameter.default
        }),
        _ => false,
    })
}

fn closed_group(case: &Case<'_>, report: &mut Report<'_>, id: &str, group: &Resource) {
    let opened =
        |kind: &'static str| case.stack.of_kind(kind).filter(|(_, rule)| rule.refers_to("/GroupId", id));
    if !items(group.get("/SecurityGroupIngress")).is_empty() {
        report.at(id, group, "/SecurityGroupIngress", "something may come in");
    }
    for (rule_id, rule) in opened("AWS::EC2::SecurityGroupIngress") {
        report.at(rule_id, rule, "", "something may come in");
    }
    let egress = items(group.get("/SecurityGroupEgress"));
    let others: Vec<_> = opened("AWS::EC2::SecurityGroupEgress").collect();
    if egress.is_empty() && others.is_empty() {
        report.at(id, group, "/SecurityGroupEgress", "without a rule everything may go out");
    }
    for (index, _) in egress.iter().enumerate().filter(|(_, rule)| !is_https(rule)) {
        report.at(id, group, &format!("/SecurityGroupEgress/{index}"), "more than TCP 443 may go out");
    }
    for (rule_id, rule) in others.iter().filter(|(_, rule)| !is_https(&rule.properties)) {
        report.at(rule_id, rule, "", "more than TCP 443 may go out");
    }
}

/// Returns true if a rule of a security group allows only HTTPS, or if its ports are known only after the deployment.
fn is_https(rule: &serde_json::Value) -> bool {
    let port =
        |key: &str| rule.get(key).is_some_and(|port| int(port).map_or(!is_known(port), |port| port == HTTPS));
    let protocol = &rule["IpProtocol"];
    !is_known(rule) && !rule.is_object()
        || (protocol == "tcp" || !is_known(protocol)) && port("FromPort") && port("ToPort")
}

fn rolls_back(case: &Case<'_>, report: &mut Report<'_>) {
    let breaker = "/DeploymentConfiguration/DeploymentCircuitBreaker";
    for (id, service) in services(case) {
        let is_on = |at: &String| service.get(at).and_then(truth) == Some(true);
        let off =
            ["Enable", "Rollback"].map(|key| format!("{breaker}/{key}")).into_iter().find(|at| !is_on(at));
        if let Some(at) = off {
            report.at(id, service, &at, "a bad version is not rolled back");
        }
    }
}

fn base_on_demand(case: &Case<'_>, report: &mut Report<'_>) {
    let at = "/CapacityProviderStrategy";
    for (id, service) in services(case) {
        let providers = items(service.get(at));
        let is_spot = |provider: &&serde_json::Value| {
            plain(&provider["CapacityProvider"]).to_ascii_uppercase().contains("SPOT")
        };
        // A base that is known only after the deployment may be enough.
        let based = |provider: &serde_json::Value| match provider.get("Base") {
            None => false,
            Some(base) => int(base).map_or(!is_known(base), |base| base >= 1),
        };
        if providers.iter().any(|provider| is_spot(&provider))
            && !providers.iter().any(|provider| !is_spot(&provider) && based(provider))
        {
            report.at(id, service, at, "all of its tasks may be on Spot");
        }
    }
}

fn count_is_scaled(case: &Case<'_>, report: &mut Report<'_>) {
    for target in targets(case.stack) {
        for (id, service) in target.task.services(case.stack) {
            if service.get("/DesiredCount").is_some() {
                report.at(id, service, "/DesiredCount", format!("it is set, and {} scales it", target.id));
            }
        }
    }
}

fn long_jobs_are_protected(case: &Case<'_>, report: &mut Report<'_>) {
    let is_long = |task: &Task<'_>| {
        let stop = task.stop_timeout().and_then(|secs| number(&secs.into()));
        matches!((task.handler_timeout(), stop), (Some(longest), Some(stop)) if longest > stop)
    };
    for task in tasks(case.stack).iter().filter(|task| task.ours && is_long(task)) {
        let protection = task.variable("DRUMLINE_TASK_PROTECTION");
        if protection.as_deref().is_none_or(|value| value != "on" && !has_token(value)) {
            let at = task.variable_pointer("DRUMLINE_TASK_PROTECTION");
            report.at(
                task.id,
                task.resource,
                &at,
                "handlers may take longer than StopTimeout, and nothing protects the task",
            );
        }
    }
}
