//! Cargo outside this repository's workspace, with its versions and its build folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use drumline_tests::binary;

/// The name of the service that `drumline new` creates for all tests.
const SERVICE: &str = "made";

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the repository")
}

/// Returns the folder of all build results of the tests.
pub(crate) fn target() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).expect("tests lie in target/PROFILE/deps").to_owned()
}

/// Returns the folder of the service, created by the first test that needs it: always the same one, so that cargo recognises
/// it.
pub(crate) fn service() -> &'static Path {
    static MADE: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = target().join("tmp");
        let service = folder.join(SERVICE);
        if service.exists() {
            fs::remove_dir_all(&service).unwrap();
        }
        fs::create_dir_all(&folder).unwrap();
        let mut new = Command::new(binary("drumline-cli", "drumline"));
        new.args(["new", SERVICE, "--path"]).arg(root()).current_dir(&folder);
        assert!(new.status().unwrap().success(), "no service is made");
        fs::copy(root().join("Cargo.lock"), service.join("Cargo.lock")).unwrap();
        // Without this, cargo would look for it in this repository's workspace.
        let manifest = service.join("Cargo.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        fs::write(manifest, text + "\n[workspace]\n").unwrap();
        service
    });
    &MADE
}

/// Returns the path of a program of the service. The first test that needs it builds the programs.
pub(crate) fn program(name: &str) -> PathBuf {
    static BUILT: LazyLock<()> = LazyLock::new(|| {
        let mut build = cargo(service(), &["build", "--bins"]);
        // It is not debugged, and builds and links faster without symbols.
        build.env("CARGO_TARGET_DIR", target()).env("CARGO_PROFILE_DEV_DEBUG", "0");
        assert!(build.status().unwrap().success(), "the service does not build");
    });
    LazyLock::force(&BUILT);
    target().join("debug").join(name)
}

/// Returns a cargo command in a folder, without network: everything that a service needs is there.
pub(crate) fn cargo(folder: &Path, arguments: &[&str]) -> Command {
    let mut cargo = xtask::project::cargo();
    cargo.arg("--offline").args(arguments).current_dir(folder);
    cargo
}
