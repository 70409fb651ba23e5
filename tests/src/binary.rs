//! Finds the project's own binaries.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Returns the path of the binary `name` of `package` beside the test's own: `target/PROFILE/deps/TEST` and
/// `target/PROFILE/NAME`. If only this crate was built, builds the binary first.
pub fn binary(package: &str, name: &str) -> PathBuf {
    // The tests of a suite run concurrently and all need the same binary: one of them builds it.
    static BUILDING: Mutex<()> = Mutex::new(());
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).expect("tests lie in target/PROFILE/deps");
    let binary = profile.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let _one_of_them = BUILDING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !binary.exists() {
        build(package, name, profile);
    }
    assert!(binary.exists(), "{} is missing after a build", binary.display());
    binary
}

fn build(package: &str, name: &str, profile: &Path) {
    let cargo = drumline_store::variable("CARGO").expect("cargo says where it is when it runs a test");
    let profile =
        profile.file_name().and_then(|name| name.to_str()).expect("cargo's folders have plain names");
    let profile = if profile == "debug" { "dev" } else { profile };
    let mut command = std::process::Command::new(cargo);
    command.args(["build", "--package", package, "--bin", name, "--profile", profile]);
    let status = command.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
    assert!(status.success(), "{name} does not build");
}
