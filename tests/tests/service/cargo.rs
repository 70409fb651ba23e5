//! Cargo outside this repository's workspace, with its versions and the folder of what it has built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use drumline_tests::binary;

/// The name of the service that `drumline new` makes for all tests.
const SERVICE: &str = "made";

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the repository")
}

/// The folder with everything that is built for the tests.
pub(crate) fn target() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).expect("tests lie in target/PROFILE/deps").to_owned()
}

/// Returns the folder of the service, made by the first test that asks: always the same one, so that cargo knows it again.
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
        // Without this it would be looked for in this repository's workspace.
        let manifest = service.join("Cargo.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        fs::write(manifest, text + "\n[workspace]\n").unwrap();
        service
    });
    &MADE
}

/// Returns the path of a program of the service. They are built by the first test that asks.
pub(crate) fn program(name: &str) -> PathBuf {
    static BUILT: LazyLock<()> = LazyLock::new(|| {
        let mut build = cargo(service(), &["build", "--bins"]);
        // No one debugs it, and without symbols it builds and links sooner.
        build.env("CARGO_TARGET_DIR", target()).env("CARGO_PROFILE_DEV_DEBUG", "0");
        assert!(build.status().unwrap().success(), "the service does not build");
    });
    LazyLock::force(&BUILT);
    target().join("debug").join(name)
}

/// A cargo command in a folder, without the network: all that a service needs is there.
pub(crate) fn cargo(folder: &Path, arguments: &[&str]) -> Command {
    let mut cargo = xtask::project::cargo();
    cargo.arg("--offline").args(arguments).current_dir(folder);
    cargo
}
