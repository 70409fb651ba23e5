//! The dashboard: its queries return data, and it has the form of Grafana's own types.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use drumline_tests::{eventually_within, shared_store};
use serde_json::Value;
use tokio::process::Command;

use super::{Prometheus, slo};

/// The types of Grafana's package, and the dashboard as a value of them.
const PROGRAM: &str =
    "import type { Dashboard } from \"@grafana/schema\";\nexport const dashboard: Dashboard = ";

/// Expects that each query of each panel returns at least one number.
pub(super) async fn expect_data(prometheus: &Prometheus, queue: &str, patience: Duration) {
    let dashboard = slo(&["--queue", queue, "--format", "grafana"]).await;
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert_eq!(panels.len(), 10);
    for panel in panels {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            eventually_within(patience, &format!("{}: {query}", panel["title"]), async || {
                prometheus.query(query).await.iter().any(|(_, value)| value.is_finite())
            })
            .await;
        }
    }
}

/// Returns the errors of the TypeScript compiler.
async fn type_errors(packages: &Path, folder: &Path, dashboard: &str) -> String {
    fs::write(folder.join("dashboard.ts"), format!("{PROGRAM}{dashboard};\n")).unwrap();
    let mut compiler = Command::new("node");
    compiler.arg(packages.join("typescript/bin/tsc")).current_dir(folder);
    compiler.args(["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--target", "es2022"]);
    let output = compiler.arg("dashboard.ts").output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.success(), text.is_empty(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[tokio::test]
async fn the_dashboard_has_the_form_of_grafanas_types() {
    let Some(node) = shared_store("DRUMLINE_TEST_NODE") else { return };
    let packages = PathBuf::from(node).join("node_modules");
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(&packages, folder.path().join("node_modules")).unwrap();
    let dashboard = slo(&["--format", "grafana"]).await;
    assert_eq!(type_errors(&packages, folder.path(), &dashboard).await, "");
    let misspelt = dashboard.replacen("\"gridPos\"", "\"gridPosition\"", 1);
    let errors = type_errors(&packages, folder.path(), &misspelt).await;
    assert!(errors.contains("'\"gridPosition\"' does not exist in type"), "{errors}");
}
