//! LocalStack in a container.

use std::process::Command;

use anyhow::Result;

use super::pins;
use crate::service::docker::{self, Container};

/// The gateway's port inside the container.
const INNER_PORT: u16 = 4566;

pub(super) fn pinned_image() -> Result<String> {
    docker::pinned_image(&pins::folder().join("compose.yaml"), "localstack")
}

/// Returns the command that runs it in the foreground.
pub(super) fn run(container: &Container, image: &str, port: u16) -> Command {
    let mut command = container.run(port, INNER_PORT);
    command.arg("--env-file").arg(pins::folder().join("settings.env"));
    command.args(["--env", &format!("LOCALSTACK_HOST=127.0.0.1:{port}")]);
    command.arg(image);
    command
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    #[test]
    fn both_ways_run_the_same_version() {
        let image = pinned_image().unwrap();
        let version = image.strip_prefix("localstack/localstack:").unwrap();
        let requirements = fs::read_to_string(pins::folder().join("requirements.txt")).unwrap();
        let pin = format!("localstack-core[base-runtime]=={version}");
        assert!(requirements.lines().any(|line| line == pin), "requirements.txt lacks {pin}");
    }

    #[test]
    fn the_image_comes_last() {
        // Not dropped: no container with this name exists, and perhaps no Docker.
        let container = std::mem::ManuallyDrop::new(Container::named_for("localstack", 4570));
        let command = run(&container, "right:2", 4570);
        assert_eq!(command.get_args().last().unwrap(), "right:2");
    }
}
