//! `cargo xtask package-lambda`: builds the function as zip files for Lambda, for either processor.
//!
//! [cargo-lambda](https://www.cargo-lambda.info) builds them: it links against the C library of Lambda's system, with zig. If
//! it is not installed, it is downloaded from the Python Package Index, which contains both.

use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use crossbeam_channel::Receiver;
use zip::ZipArchive;

use xtask::interrupt::{self, Interrupted};
use xtask::process::Process;
use xtask::progress::phase;
use xtask::{project, venv};

const PACKAGE: &str = "drumline-lambda";
/// The released features: without the sample jobs that need image codecs, mail or S3.
const FEATURES: &str = "bin";
/// The build profile; the workspace's `Cargo.toml` describes its purpose.
const PROFILE: &str = "lambda";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The processor; both by default
    #[arg(long, value_enum)]
    arch: Option<Arch>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Arch {
    /// Graviton: `Architectures: [arm64]`
    Arm64,
    /// `Architectures: [x86_64]`
    #[value(name = "x86-64")]
    X86,
}

impl Arch {
    fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86 => "x86-64",
        }
    }

    fn target(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64-unknown-linux-gnu",
            Self::X86 => "x86_64-unknown-linux-gnu",
        }
    }
}

/// A function that is ready to be uploaded.
struct Package {
    arch: Arch,
    zip: PathBuf,
    zip_bytes: u64,
    bootstrap_bytes: u64,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let interrupts = interrupt::catch()?;
    let tools = phase("find cargo-lambda", || Tools::find(&interrupts))?;
    let mut packages = Vec::new();
    for arch in options.arch.map_or(vec![Arch::Arm64, Arch::X86], |arch| vec![arch]) {
        packages.push(phase(&format!("package for {}", arch.name()), || package(arch, &tools, &interrupts))?);
    }
    println!();
    for Package { arch, zip, zip_bytes, bootstrap_bytes } in packages {
        let (zip_size, bootstrap_size) = (mib(zip_bytes), mib(bootstrap_bytes));
        println!("{:<7} {zip_size} zipped, {bootstrap_size} unzipped  {}", arch.name(), zip.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn mib(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) / (1024 * 1024);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

fn package(arch: Arch, tools: &Tools, interrupts: &Receiver<Interrupted>) -> Result<Package> {
    add_target(arch, interrupts)?;
    let folder = project::target().join("lambda").join(arch.name());
    let mut build = tools.cargo();
    build
        .args(["lambda", "build", "--profile", PROFILE, "--output-format", "zip", "--target", arch.target()])
        .args([
            "--package",
            PACKAGE,
            "--bin",
            PACKAGE,
            "--no-default-features",
            "--features",
            FEATURES,
            "--lambda-dir",
        ])
        .arg(&folder);
    let status = Process::spawn("cargo lambda build", &mut build, interrupts)?.wait()?;
    ensure!(status.success(), "cargo lambda build failed with {status}");
    let zip = folder.join(PACKAGE).join("bootstrap.zip");
    let (zip_bytes, bootstrap_bytes) = sizes(&zip)?;
    Ok(Package { arch, zip, zip_bytes, bootstrap_bytes })
}

/// Returns the sizes of the zip and of the `bootstrap` in it.
fn sizes(zip: &Path) -> Result<(u64, u64)> {
    let file = File::open(zip).with_context(|| format!("there is no {}", zip.display()))?;
    let bytes = file.metadata()?.len();
    let mut archive = ZipArchive::new(file)?;
    let bootstrap = archive.by_name("bootstrap").context("the zip holds no bootstrap")?;
    Ok((bytes, bootstrap.size()))
}

/// Installs Rust's standard library for the processor. Builds without rustup use the installed one.
fn add_target(arch: Arch, interrupts: &Receiver<Interrupted>) -> Result<()> {
    let sysroot = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--print", "sysroot"])
        .current_dir(project::root())
        .output()
        .context("rustc does not run")?;
    let sysroot = PathBuf::from(String::from_utf8(sysroot.stdout)?.trim());
    if sysroot.join("lib/rustlib").join(arch.target()).join("lib").is_dir() {
        return Ok(());
    }
    let mut add = Command::new("rustup");
    add.args(["target", "add", arch.target()]).current_dir(project::root());
    match Process::spawn("rustup target add", &mut add, interrupts).and_then(|mut rustup| rustup.wait()) {
        Ok(status) if status.success() => Ok(()),
        _ => bail!(
            "Rust's library for {0} is not installed, and rustup could not fetch it: `rustup target add {0}`",
            arch.target()
        ),
    }
}

/// cargo-lambda and its place.
struct Tools {
    /// The first folder of the search path; `None` if the developer's own installation is used.
    folder: Option<PathBuf>,
}

impl Tools {
    fn find(interrupts: &Receiver<Interrupted>) -> Result<Self> {
        let own = Command::new("cargo-lambda").args(["lambda", "--version"]).output();
        if own.is_ok_and(|output| output.status.success()) {
            println!("    cargo-lambda from the search path");
            return Ok(Self { folder: None });
        }
        let python = venv::python().context(
            "cargo-lambda is not installed, and without Python it cannot be: see https://www.cargo-lambda.info",
        )?;
        let requirements = project::root().join("lambda/requirements.txt");
        let folder = project::target().join("cargo-lambda");
        let installed = venv::make(&python, &folder, &[requirements], interrupts)?;
        Ok(Self { folder: installed.parent().map(Path::to_path_buf) })
    }

    fn cargo(&self) -> Command {
        let mut cargo = project::cargo();
        if let Some(folder) = &self.folder {
            let path = env::var_os("PATH").unwrap_or_default();
            let folders = std::iter::once(folder.clone()).chain(env::split_paths(&path));
            // A path with a colon in a name cannot be joined; then the old one is kept.
            cargo.env("PATH", env::join_paths(folders).unwrap_or(path));
        }
        cargo
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_in_mebibytes() {
        assert_eq!(mib(0), "0.0 MiB");
        assert_eq!(mib(5 * 1024 * 1024 + 700 * 1024), "5.6 MiB");
    }
}
