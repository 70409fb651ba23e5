//! The packages that a service links.

use std::collections::BTreeSet;
use std::fs;

use crate::cargo::{cargo, root};

/// For a worker: the SDK's client of SQS, an HTTP server and a TLS stack, metrics, logs, settings, gzip and zstd, and a producer for next
/// jobs, which checks schemas, and rates. No command line, rules or emulator.
const MOST_OF_A_WORKER: usize = 249;

/// For a function: the same, with Lambda's runtime and event types in place of the server and the metrics.
const MOST_OF_A_FUNCTION: usize = 257;

/// Returns the names and versions of all packages in a program with this feature of the service.
fn packages(feature: &str) -> BTreeSet<String> {
    let service = root().join("tests/service");
    fs::copy(root().join("Cargo.lock"), service.join("Cargo.lock")).unwrap();
    let tree = ["tree", "--edges", "normal", "--prefix", "none", "--no-default-features", "--features"];
    let output = cargo(&service, &tree).arg(feature).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}

#[test]
fn a_service_links_little() {
    for (feature, most) in [("worker", MOST_OF_A_WORKER), ("function", MOST_OF_A_FUNCTION)] {
        let packages = packages(feature);
        assert!(packages.iter().any(|package| package.starts_with("drumline v")), "{packages:?}");
        assert!(
            packages.len() <= most,
            "{} packages instead of {most} in a {feature}: {packages:#?}",
            packages.len()
        );
    }
}
