//! `cargo xtask infra`: what others check of the templates: cfn-lint, and Terraform itself. The project's own rules are tests
//! of `infra/rules`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use crossbeam_channel::Receiver;

use crate::interrupt::{self, Interrupted};
use crate::process::Process;
use crate::progress::phase;
use crate::{project, venv};

/// Where CloudFormation's templates are, SAM's among them.
const TEMPLATES: [&str; 3] = ["cloudformation", "cloudformation/examples", "sam"];

pub(crate) fn run() -> Result<ExitCode> {
    let interrupts = interrupt::catch()?;
    let python = venv::python()?;
    let tools = project::target().join("infra");
    let templates = templates(&infra())?;
    let linted = phase("cfn-lint", || cfn_lint(&python, &tools, &templates, &interrupts))?;
    let checked = phase("terraform", || {
        let mut check = Command::new(&python);
        check.arg(infra().join("terraform/offline/check.py")).arg("--tools").arg(tools.join("terraform"));
        succeeds("check.py", &mut check, &interrupts)
    })?;
    Ok(if linted && checked { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn infra() -> PathBuf {
    project::root().join("infra")
}

/// All findings count, informational ones too, and no template switches a rule off.
fn cfn_lint(
    python: &Path,
    tools: &Path,
    templates: &[PathBuf],
    interrupts: &Receiver<Interrupted>,
) -> Result<bool> {
    for template in templates {
        let text = fs::read_to_string(template).with_context(|| template.display().to_string())?;
        // T06: what is wrong is mended, not hidden.
        if text.contains("cfn-lint") {
            bail!("{} speaks of cfn-lint: no template tells its linter what to overlook", template.display());
        }
    }
    let python = venv::make(
        python,
        tools,
        &["requirements.txt", "constraints.txt"].map(|name| infra().join(name)),
        interrupts,
    )?;
    let mut lint = Command::new(python.with_file_name("cfn-lint"));
    lint.args(["--include-checks", "I", "--non-zero-exit-code", "informational", "--"]);
    let clean = succeeds("cfn-lint", lint.args(templates), interrupts)?;
    println!("    {} templates: {}", templates.len(), if clean { "nothing found" } else { "see above" });
    Ok(clean)
}

fn succeeds(name: &str, command: &mut Command, interrupts: &Receiver<Interrupted>) -> Result<bool> {
    project::forget_aws(command);
    Ok(Process::spawn(name, command, interrupts)?.wait()?.success())
}

/// Every template, in the order of their names. A folder without any is a mistake of this list.
fn templates(infra: &Path) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for name in TEMPLATES {
        let folder = infra.join(name);
        let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        let mut found = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                found.push(path);
            }
        }
        ensure!(!found.is_empty(), "no template in {}", folder.display());
        found.sort();
        all.extend(found);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_folder_has_its_templates() {
        let found = templates(&infra()).unwrap();
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        for name in ["queue.yaml", "worker-lambda.yaml", "sidecar-task.yaml", "template.yaml"] {
            assert!(names.contains(&name), "{name} in {names:?}");
        }
    }

    #[test]
    fn a_folder_without_templates_is_a_mistake() {
        let infra = tempfile::TempDir::new().unwrap();
        fs::create_dir(infra.path().join("cloudformation")).unwrap();
        assert!(templates(infra.path()).unwrap_err().to_string().contains("no template"));
    }
}
