//! The project's folders, and a `cargo` command that behaves as if it were called from a shell.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the workspace's root folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the xtask crate lies in the workspace's root")
}

/// Returns the folder for everything that is built or installed and can be deleted at any time.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// Returns a `cargo` command in the workspace's root.
///
/// The variables that `cargo run` has set for the xtask crate are removed: build scripts that watch such a variable (ring's
/// does) would run again, and their dependents would be compiled again, at each change between `cargo test` and `cargo xtask
/// test`.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(root());
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_about_this_crate) {
            command.env_remove(name);
        }
    }
    command
}

fn is_about_this_crate(variable: &str) -> bool {
    variable.starts_with("CARGO_PKG_")
        || variable.starts_with("CARGO_MANIFEST_")
        || matches!(variable, "CARGO_BIN_NAME" | "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE")
}

/// Removes all inherited `AWS_` variables: tests must not reach a developer's own account, and LocalStack fails with a
/// certificate bundle for other servers (`AWS_CA_BUNDLE`).
pub fn forget_aws(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("AWS_")) {
            command.env_remove(name);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_describes_a_crate_is_hidden_from_cargo() {
        for hidden in ["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_BIN_NAME"] {
            assert!(is_about_this_crate(hidden), "{hidden}");
        }
        for kept in ["CARGO", "CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_BUILD_JOBS", "CARGO_NET_OFFLINE"] {
            assert!(!is_about_this_crate(kept), "{kept}");
        }
    }
}
