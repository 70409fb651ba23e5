//! The commands of `docs/first-steps.md`, unchanged.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use drumline_tests::{binary, free_address};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

use crate::cargo::{root, target};
use crate::transcript::{Kind, Step, script, steps};

/// The queue's address on the page, which the test replaces with a free one.
const QUEUE_ADDRESS: &str = "127.0.0.1:9324";

/// The time limit for all commands, on a machine that also compiles other things.
const PATIENCE: Duration = Duration::from_mins(45);

/// The time that the script has after SIGTERM to stop its processes.
const LAST_SECONDS: Duration = Duration::from_secs(20);

/// Makes a step use this checkout and free addresses.
fn here(mut step: Step, queue_address: &str) -> Step {
    let (root, target) = (root().display(), target());
    if let Some(name) = step.command.strip_prefix("drumline new ") {
        // The versions of this repository and its build folder, so that little is built again.
        step.command = format!(
            "{} --path {root} && cp {root}/Cargo.lock {name}/ && ln -s {} {name}/target",
            step.command,
            target.display()
        );
    }
    if step.kind == Kind::Server {
        step.command = format!("{} --sqs-addr {queue_address}", step.command);
    }
    step.command = step.command.replace(QUEUE_ADDRESS, queue_address);
    for shown in &mut step.shown {
        *shown = shown.replace(QUEUE_ADDRESS, queue_address);
    }
    step
}

#[tokio::test]
async fn the_first_steps_do_as_the_page_says() {
    let page = fs::read_to_string(root().join("docs/first-steps.md")).unwrap();
    let drumline = binary("drumline-cli", "drumline");
    let programs = drumline.parent().expect("a program lies in a folder");
    let queue_address = free_address().to_string();
    let steps: Vec<Step> =
        steps(&page, "# First steps").into_iter().map(|step| here(step, &queue_address)).collect();
    assert!(steps.len() > 10, "{steps:#?}");

    let (folder, outputs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let own = format!(
        "unset ${{!AWS_@}} ${{!DRUMLINE_@}} ${{!CARGO_PKG_@}} ${{!CARGO_MANIFEST_@}}\n\
         export PATH={}:$PATH DRUMLINE_HTTP_ADDR={} CARGO_NET_OFFLINE=true CARGO_TERM_COLOR=never \
         CARGO_PROFILE_DEV_DEBUG=0\n",
        programs.display(),
        free_address()
    );
    let script = own + &script(&steps, outputs.path());
    let mut bash = Command::new("bash");
    bash.arg("-c").arg(script).current_dir(folder.path()).stdin(Stdio::null());
    let mut running = bash.spawn().unwrap();
    let id = running.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).expect("it runs");
    let in_time = tokio::time::timeout(PATIENCE, running.wait()).await;
    if in_time.is_err() {
        kill_process(id, Signal::TERM).unwrap();
        // Bash first waits for the command that does not end.
        if tokio::time::timeout(LAST_SECONDS, running.wait()).await.is_err() {
            running.kill().await.unwrap();
        }
    }
    let status = in_time.ok().map(Result::unwrap);

    let read = |name: &str| fs::read_to_string(outputs.path().join(name)).unwrap_or_default();
    let last: usize = read("last").trim().parse().unwrap();
    for (number, step) in steps.iter().enumerate().take(last + 1) {
        let output = read(&number.to_string());
        let missing = step.missing_in(&output);
        assert_eq!(missing, None, "step {number}: {}\n{output}", step.command);
    }
    assert!(
        status.is_some_and(|status| status.success()),
        "{status:?} in step {last}: {}\n{}",
        steps[last].command,
        read(&last.to_string())
    );
}
