//! Servers as containers.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use crossbeam_channel::Receiver;

use crate::interrupt::Interrupted;
use crate::process::Process;
use crate::progress::note;

/// The time limit of an engine's response: a running engine responds in well under a second, and one that hangs is useless.
const ENGINE_LIMIT: Duration = Duration::from_secs(10);

/// Returns true if there is a Docker engine; the command without an engine does not count.
pub(super) fn answers(interrupts: &Receiver<Interrupted>) -> Result<bool> {
    let mut command = Command::new("docker");
    command.arg("info").stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut info) = Process::spawn("docker info", &mut command, interrupts) else { return Ok(false) };
    Ok(info.ended_within(ENGINE_LIMIT)?.is_some_and(|status| status.success()))
}

/// Returns the image that a compose file names for a service: versions are defined nowhere else.
pub(super) fn pinned_image(compose: &Path, service: &str) -> Result<String> {
    let text = fs::read_to_string(compose).with_context(|| format!("cannot read {}", compose.display()))?;
    image_in(&text, service).with_context(|| format!("{} names no image of {service}", compose.display()))
}

fn image_in(compose: &str, service: &str) -> Option<String> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines = compose.lines();
    let outer = indent(lines.find(|line| line.trim().strip_suffix(':') == Some(service))?);
    lines
        .take_while(|line| indent(line) > outer)
        .find_map(|line| line.trim().strip_prefix("image:"))
        .map(|image| image.trim().to_owned())
}

/// Downloads the image unless it exists.
pub(super) fn pull(image: &str, interrupts: &Receiver<Interrupted>) -> Result<()> {
    let mut inspect = Command::new("docker");
    inspect.args(["image", "inspect", image]).stdout(Stdio::null()).stderr(Stdio::null());
    if Process::spawn("docker image inspect", &mut inspect, interrupts)?.wait()?.success() {
        return Ok(());
    }
    let status =
        Process::spawn("docker pull", Command::new("docker").args(["pull", image]), interrupts)?.wait()?;
    ensure!(status.success(), "docker pull {image} failed with {status}");
    Ok(())
}

/// A container with its name. Dropping removes it in any state.
pub(super) struct Container {
    name: String,
}

impl Container {
    /// Creates a unique name from the port: two concurrent runs have different ports.
    pub(super) fn named_for(service: &str, port: u16) -> Self {
        Self { name: format!("drumline-{service}-{port}") }
    }

    /// Returns the beginning of the command that runs it in the foreground, with its inner port reachable only on loopback. The
    /// caller appends the image and the image's arguments.
    pub(super) fn run(&self, port: u16, inner_port: u16) -> Command {
        let mut command = Command::new("docker");
        command.args(["run", "--rm", "--name", &self.name]);
        command.args(["--publish", &format!("127.0.0.1:{port}:{inner_port}")]);
        command
    }

    fn remove(&self) -> Result<()> {
        let output = Command::new("docker").args(["rm", "--force", "--volumes", &self.name]).output()?;
        let message = String::from_utf8_lossy(&output.stderr);
        // Already removed, or about to be: `--rm` has done its work.
        let gone = message.contains("No such container") || message.contains("already in progress");
        if !output.status.success() && !gone {
            bail!("{}", message.trim());
        }
        Ok(())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            note(&format!("cannot remove the container {}: {error:#}", self.name));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_commented_image_is_not_the_image() {
        let compose = "services:\n  a:\n    # image: wrong:1\n    image:  right:2 \n";
        assert_eq!(image_in(compose, "a").as_deref(), Some("right:2"));
        assert_eq!(image_in("services: {}", "a"), None);
    }

    #[test]
    fn another_service_s_image_is_not_the_image() {
        let compose = "services:\n  a:\n    tty: true\n  b:\n    image: b:1\n  c:\n    image: c:2\n";
        assert_eq!(image_in(compose, "a"), None);
        assert_eq!(image_in(compose, "b").as_deref(), Some("b:1"));
        assert_eq!(image_in(compose, "c").as_deref(), Some("c:2"));
    }

    #[test]
    fn a_container_is_published_on_loopback_only() {
        // Not dropped: no container with this name exists, and perhaps no Docker.
        let container = std::mem::ManuallyDrop::new(Container::named_for("a", 4570));
        let command = container.run(4570, 4566);
        let arguments: Vec<_> = command.get_args().map(|argument| argument.to_str().unwrap()).collect();
        let published = arguments.iter().position(|argument| *argument == "--publish").unwrap();
        assert_eq!(arguments[published + 1], "127.0.0.1:4570:4566");
        assert!(arguments.contains(&"drumline-a-4570"));
    }
}
