//! `cargo xtask infra`: checks the templates with external tools: cfn-lint, SAM's translator, and Terraform. The project's own
//! rules are tests of `infra/rules`; here they check the translated SAM template.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use crossbeam_channel::Receiver;

use xtask::interrupt::{self, Interrupted};
use xtask::process::Process;
use xtask::progress::phase;
use xtask::{project, venv};

/// The folders of CloudFormation's templates, including SAM's.
const TEMPLATES: [&str; 2] = ["cloudformation", "sam"];

pub(crate) fn run() -> Result<ExitCode> {
    let interrupts = interrupt::catch()?;
    let python = venv::python()?;
    let tools = project::target().join("infra");
    let templates = templates(&infra())?;
    let environment = phase("find cfn-lint", || {
        let pins = ["requirements.txt", "constraints.txt"].map(|name| infra().join(name));
        venv::make(&python, &tools, &pins, &interrupts)
    })?;
    let linted = phase("cfn-lint", || cfn_lint(&environment, &templates, &interrupts))?;
    let translated = phase("translated SAM", || translated_sam(&environment, &tools, &interrupts))?;
    let checked = phase("terraform", || {
        let mut check = Command::new(&python);
        check.arg(infra().join("terraform/offline/check.py")).arg("--tools").arg(tools.join("terraform"));
        succeeds("check.py", &mut check, &interrupts)
    })?;
    Ok(if linted && translated && checked { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn infra() -> PathBuf {
    project::root().join("infra")
}

/// Runs cfn-lint. All findings count, including informational ones, and no template disables a rule.
fn cfn_lint(python: &Path, templates: &[PathBuf], interrupts: &Receiver<Interrupted>) -> Result<bool> {
    for template in templates {
        let text = fs::read_to_string(template).with_context(|| template.display().to_string())?;
        // T06: problems must be fixed, not hidden.
        if text.contains("cfn-lint") {
            bail!("{} mentions cfn-lint: templates must not disable linter rules", template.display());
        }
    }
    let mut lint = Command::new(python.with_file_name("cfn-lint"));
    lint.args(["--include-checks", "I", "--non-zero-exit-code", "informational", "--"]);
    let clean = succeeds("cfn-lint", lint.args(templates), interrupts)?;
    println!("    templates: {}, {}", templates.len(), if clean { "nothing found" } else { "see above" });
    Ok(clean)
}

/// Checks the template that AWS makes from the SAM template, with cfn-lint and the project's rules.
fn translated_sam(python: &Path, tools: &Path, interrupts: &Receiver<Interrupted>) -> Result<bool> {
    let output = tools.join("sam.json");
    let mut translate = Command::new(python);
    translate.arg(infra().join("sam/translate.py")).arg(&output);
    if !succeeds("translate.py", &mut translate, interrupts)? {
        return Ok(false);
    }
    let linted = cfn_lint(python, std::slice::from_ref(&output), interrupts)?;
    // The same binaries as the tests', so that nothing is built twice.
    let mut build = project::cargo();
    build.args(["build", "--quiet", "--workspace", "--bins"]);
    ensure!(succeeds("cargo build", &mut build, interrupts)?, "the binaries do not build");
    let mut doctor = Command::new(project::target().join("debug/drumline"));
    doctor.args(["doctor", "template"]).arg(infra().join("cloudformation/queue.yaml")).arg(&output);
    Ok(succeeds("drumline doctor", &mut doctor, interrupts)? && linted)
}

fn succeeds(name: &str, command: &mut Command, interrupts: &Receiver<Interrupted>) -> Result<bool> {
    project::forget_aws(command);
    Ok(Process::spawn(name, command, interrupts)?.wait()?.success())
}

/// Returns all templates in the order of their names. A folder without templates is an error in this list.
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
        for name in ["queue.yaml", "worker-lambda.yaml", "template.yaml"] {
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
