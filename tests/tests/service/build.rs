//! The programs of the service.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The folder of the service.
fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/service"))
}

/// Returns the path of one of its programs, which are built by the first test that asks.
pub(crate) fn program(name: &str) -> PathBuf {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
        let test = std::env::current_exe().unwrap();
        let target = test.ancestors().nth(3).expect("tests lie in target/PROFILE/deps");
        let mut build = cargo(&["build", "--bins"]);
        // No one debugs it, and without symbols it builds and links sooner.
        build.env("CARGO_TARGET_DIR", target).env("CARGO_PROFILE_DEV_DEBUG", "0");
        let status = build.status().unwrap();
        assert!(status.success(), "the service does not build");
        target.join("debug")
    });
    BUILT.join(name)
}

/// A cargo command in the service's folder, with the versions of this repository: what CI has built is not built again if it
/// has the same features.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    static LOCKED: LazyLock<()> = LazyLock::new(|| {
        let lock = folder().join("../../Cargo.lock");
        fs::copy(lock, folder().join("Cargo.lock")).unwrap();
    });
    LazyLock::force(&LOCKED);
    let mut cargo = xtask::project::cargo();
    cargo.arg("--offline").args(arguments).current_dir(folder());
    cargo
}
