//! `cargo xtask infra`: checks the templates with external tools: cfn-lint, SAM's translator, and Terraform. The project's own
//! rules are tests of `infra/rules`; here they check the translated SAM template and those of `drumline slo`.

use std::fs::{self, File};
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

/// The generated templates of alarms: file name, queue and targets.
const ALARMS: &[(&str, &str, &[&str])] = &[
    ("slo.yaml", "emails", &["99% of email.send within 2m over 30d"]),
    (
        "slo-several.yaml",
        "jobs.fifo",
        &[
            "99.9% of email.send within 90s over 7d",
            "99.9999% of email-send within 1d over 90d",
            "95% of a {b} ${c} %d: 'é' within 5ms over 28d",
        ],
    ),
];

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
    phase("build drumline", || build(&interrupts))?;
    let alarms = phase("alarms of slo", || alarms(&environment, &tools, &interrupts))?;
    let translated = phase("translated SAM", || translated_sam(&environment, &tools, &interrupts))?;
    let checked = phase("terraform", || {
        let mut check = Command::new(&python);
        check.arg(infra().join("terraform/offline/check.py")).arg("--tools").arg(tools.join("terraform"));
        succeeds("check.py", &mut check, &interrupts)
    })?;
    Ok(if linted && alarms && translated && checked { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
    let mut doctor = drumline();
    doctor.args(["doctor", "template"]).arg(infra().join("cloudformation/queue.yaml")).arg(&output);
    Ok(succeeds("drumline doctor", &mut doctor, interrupts)? && linted)
}

/// Builds the same binaries as the tests', so that nothing is built twice.
fn build(interrupts: &Receiver<Interrupted>) -> Result<()> {
    let mut build = project::cargo();
    build.args(["build", "--quiet", "--workspace", "--bins"]);
    ensure!(succeeds("cargo build", &mut build, interrupts)?, "the binaries do not build");
    Ok(())
}

fn drumline() -> Command {
    Command::new(project::target().join("debug/drumline"))
}

/// Checks generated templates of alarms with cfn-lint and the project's rules: one target, several, and types with characters
/// that names do not have.
fn alarms(python: &Path, tools: &Path, interrupts: &Receiver<Interrupted>) -> Result<bool> {
    let mut paths = Vec::new();
    for (name, queue, targets) in ALARMS {
        let path = tools.join(name);
        let file = File::create(&path).with_context(|| path.display().to_string())?;
        let mut generate = drumline();
        generate.args(["slo", "--format", "cloudwatch", "--queue", queue]).stdout(file);
        for target in *targets {
            generate.args(["--target", target]);
        }
        if !succeeds("drumline slo", &mut generate, interrupts)? {
            return Ok(false);
        }
        paths.push(path);
    }
    let linted = cfn_lint(python, &paths, interrupts)?;
    let mut doctor = drumline();
    Ok(succeeds("drumline doctor", doctor.args(["doctor", "template"]).args(&paths), interrupts)? && linted)
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
