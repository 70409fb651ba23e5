//! Tests that the Deployments of this repository's examples can be probed and drained.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// Returns the objects of all examples.
fn objects() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kubernetes");
    let mut objects = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        objects.extend(
            serde_norway::Deserializer::from_str(&text).map(|object| Value::deserialize(object).unwrap()),
        );
    }
    objects
}

fn setting<'a>(container: &'a Value, name: &str) -> Option<&'a str> {
    let all = container["env"].as_array()?;
    all.iter().find(|one| one["name"] == name)?["value"].as_str()
}

/// Returns true if the kubelet can reach the address of a probe.
fn is_reached(container: &Value, probe: &Value) -> bool {
    let command = probe["exec"]["command"].as_array();
    let by_command = command.is_some_and(|words| words.iter().any(|word| word == "health"));
    let is_open = setting(container, "DRUMLINE_HTTP_ADDR").is_some_and(|addr| addr.starts_with("0.0.0.0:"));
    by_command || probe["httpGet"].is_object() && is_open
}

#[test]
fn probes_reach_the_worker_and_a_drain_has_its_time() {
    let deployments: Vec<Value> =
        objects().into_iter().filter(|object| object["kind"] == "Deployment").collect();
    assert!(!deployments.is_empty());
    for deployment in deployments {
        let pod = &deployment["spec"]["template"]["spec"];
        for container in pod["containers"].as_array().unwrap() {
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                assert!(is_reached(container, &container[probe]), "{probe}: {}", container[probe]);
            }
            let grace = setting(container, "DRUMLINE_SHUTDOWN_GRACE").unwrap_or("25s");
            let grace: u64 = grace.strip_suffix('s').unwrap().parse().unwrap();
            assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() >= grace + 5);
            assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        }
    }
}
