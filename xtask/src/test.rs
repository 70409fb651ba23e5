//! `cargo xtask test`: runs all tests with the services that they need.

use std::env;
use std::num::NonZero;
use std::process::{Command, ExitCode, ExitStatus};
use std::thread;

use anyhow::Result;
use crossbeam_channel::Receiver;

use xtask::interrupt::{self, Interrupted};
use xtask::process::Process;
use xtask::progress::phase;
use xtask::project;
use xtask::service::clients;
use xtask::service::localstack::{self, LocalStack};
use xtask::service::peers::{self, Peers};

/// The crate with tests that use services.
const SERVICE_TESTS: &str = "drumline-tests";
/// The conformance suite of stores, which this crate enables.
const CONFORMANCE: &str = "drumline-store/conformance";
/// cargo's exit status for failed tests; also used for a test run that a signal ended.
const TESTS_FAILED: u8 = 101;
/// The test runner's own setting, which has precedence if it is set.
const TEST_THREADS: &str = "RUST_TEST_THREADS";
const TESTS_PER_CORE: usize = 2;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Start no service, and skip the tests that need one
    #[arg(long)]
    quick: bool,
    /// The SQS client of workers in tests: `auto`, `lean` or `sdk`. By default the worker's default, `auto`
    #[arg(long, value_parser = ["auto", "lean", "sdk"])]
    sqs_client: Option<String>,
    /// Arguments for one `cargo test` instead of all tests, such as `-- -p drumline-tests lease`
    #[arg(last = true, value_name = "CARGO TEST ARGUMENTS")]
    arguments: Vec<String>,
}

/// The tests of workers that also run with the SDK's client: they receive, renew, retry, delete and send.
const WITH_SDK: [&str; 6] = ["backoff::", "last_attempt::", "limits::", "send::", "throttled::", "waiting::"];

/// The variable that passes `--sqs-client` to tests.
const SQS_CLIENT: &str = "DRUMLINE_TEST_SQS_CLIENT";

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let interrupts = interrupt::catch()?;
    if starts_binaries(options) {
        // A test run does not build the binaries that tests start, and an old one proves nothing.
        let built = phase("build the binaries", || cargo_build(&["--workspace", "--bins"], &interrupts))?;
        if !built.success() {
            return Ok(exit_code(built));
        }
    }
    if !options.arguments.is_empty() {
        let installed = prepare_unless(options.quick, &interrupts)?;
        let services = Services::start_if(installed.as_ref(), &interrupts)?;
        let status = cargo_test(options, &options.arguments, services.as_ref(), &interrupts)?;
        return Ok(exit_code(status));
    }

    // Compiled first: code that does not compile needs no services.
    let built = phase("build the tests", || {
        cargo_test(options, &everything(options.quick, &["--all-targets", "--no-run"]), None, &interrupts)
    })?;
    if !built.success() {
        return Ok(exit_code(built));
    }
    let installed = prepare_unless(options.quick, &interrupts)?;
    if let Some(installed) = &installed {
        localstack::test_executor(&installed.localstack, &interrupts)?;
    }
    let services = Services::start_if(installed.as_ref(), &interrupts)?;
    let tests = phase("run the tests", || {
        cargo_test(
            options,
            &everything(options.quick, &["--all-targets", "--no-fail-fast"]),
            services.as_ref(),
            &interrupts,
        )
    })?;
    let with_sdk = if options.quick || options.sqs_client.is_some() {
        tests
    } else {
        let options = Options { sqs_client: Some("sdk".to_owned()), quick: false, arguments: Vec::new() };
        let subset = everything(false, &[&["--test", "local_worker", "--"], &WITH_SDK[..]].concat());
        phase("run some tests with the SDK's client of SQS", || {
            cargo_test(&options, &subset, services.as_ref(), &interrupts)
        })?
    };
    drop(services);
    // Not a phase with a closing line: a test run ends with the test runner's own summary.
    println!("==> run the documentation's tests");
    let doc_tests =
        cargo_test(options, &everything(options.quick, &["--doc", "--no-fail-fast"]), None, &interrupts)?;
    let failed = [tests, with_sdk].into_iter().find(|status| !status.success());
    Ok(exit_code(failed.unwrap_or(doc_tests)))
}

/// Returns true if tests of this run may start the project's binaries.
fn starts_binaries(options: &Options) -> bool {
    !options.quick || !options.arguments.is_empty()
}

/// The installations of the services.
struct Installed {
    localstack: localstack::Installation,
    peers: peers::Installations,
    clients: clients::Installation,
}

/// The services that the tests need; dropping stops them.
struct Services {
    localstack: LocalStack,
    peers: Peers,
    /// The variables with the programs for the tests.
    programs: Vec<(&'static str, String)>,
}

impl Services {
    /// Starts the installed services, if there are any.
    fn start_if(installed: Option<&Installed>, interrupts: &Receiver<Interrupted>) -> Result<Option<Self>> {
        installed.map(|installed| Self::start(installed, interrupts)).transpose()
    }

    /// Starts all concurrently, because starting is mostly waiting.
    fn start(installed: &Installed, interrupts: &Receiver<Interrupted>) -> Result<Self> {
        thread::scope(|scope| {
            let peers = scope.spawn(|| Peers::start(&installed.peers, interrupts));
            let localstack = LocalStack::start(&installed.localstack, interrupts);
            let peers = peers.join().expect("a start reports errors and does not panic");
            Ok(Self { localstack: localstack?, peers: peers?, programs: installed.clients.env() })
        })
    }

    fn env(&self) -> Vec<(&'static str, String)> {
        [self.localstack.env(), self.peers.env(), self.programs.clone()].concat()
    }
}

fn prepare_unless(quick: bool, interrupts: &Receiver<Interrupted>) -> Result<Option<Installed>> {
    if quick {
        return Ok(None);
    }
    Ok(Some(Installed {
        localstack: localstack::prepare(interrupts)?,
        peers: peers::prepare(interrupts)?,
        clients: clients::prepare(interrupts)?,
    }))
}

fn everything(quick: bool, more: &[&str]) -> Vec<String> {
    let mut arguments = vec!["--workspace"];
    if quick {
        arguments.extend(["--exclude", SERVICE_TESTS, "--features", CONFORMANCE]);
    }
    arguments.extend(more);
    arguments.into_iter().map(str::to_owned).collect()
}

fn cargo_build(arguments: &[&str], interrupts: &Receiver<Interrupted>) -> Result<ExitStatus> {
    Process::spawn("cargo build", project::cargo().arg("build").args(arguments), interrupts)?.wait()
}

fn cargo_test(
    options: &Options,
    arguments: &[String],
    services: Option<&Services>,
    interrupts: &Receiver<Interrupted>,
) -> Result<ExitStatus> {
    let mut command: Command = project::cargo();
    command.arg("test").args(arguments);
    if env::var_os(TEST_THREADS).is_none() {
        command.env(TEST_THREADS, test_threads().to_string());
    }
    project::forget_aws(&mut command);
    if let Some(client) = &options.sqs_client {
        command.env(SQS_CLIENT, client);
    }
    if let Some(services) = services {
        command.envs(services.env());
    }
    Process::spawn("cargo test", &mut command, interrupts)?.wait()
}

/// Returns the number of concurrent tests: most of them wait for processes and servers, so a core can run several.
fn test_threads() -> usize {
    TESTS_PER_CORE * thread::available_parallelism().map_or(1, NonZero::get)
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(TESTS_FAILED);
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_whose_tests_start_binaries_builds_them_first() {
        let options = |quick, arguments: &[&str]| Options {
            quick,
            sqs_client: None,
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
        };
        assert!(starts_binaries(&options(false, &[])));
        assert!(starts_binaries(&options(true, &["-p", SERVICE_TESTS])));
        assert!(!starts_binaries(&options(true, &[])), "it leaves out the tests that start them");
    }

    #[test]
    fn a_quick_run_leaves_out_the_tests_that_need_services() {
        assert_eq!(everything(false, &["--doc"]), ["--workspace", "--doc"]);
        assert_eq!(
            everything(true, &["--doc"]),
            ["--workspace", "--exclude", SERVICE_TESTS, "--features", CONFORMANCE, "--doc"]
        );
    }
}
