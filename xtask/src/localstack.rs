//! `cargo xtask localstack`: runs LocalStack for a developer's experiments.

use std::process::ExitCode;

use anyhow::{Result, bail};

use xtask::interrupt::{self, Interrupted};
use xtask::service::localstack::{self, LocalStack};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only find or install it, without starting it
    #[arg(long)]
    prepare: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let interrupts = interrupt::catch()?;
    let installation = localstack::prepare(&interrupts)?;
    if options.prepare {
        return Ok(ExitCode::SUCCESS);
    }
    let mut localstack = LocalStack::start(&installation, &interrupts)?;
    println!("\nLocalStack runs until Ctrl-C. To use it from another terminal:");
    for (name, value) in localstack.env() {
        println!("    export {name}={value}");
    }
    println!("    export AWS_ENDPOINT_URL={}", localstack.endpoint());
    match localstack.process().wait() {
        Ok(status) => {
            bail!("LocalStack ended by itself with {status}; see {}", localstack::log_file().display())
        }
        Err(error) if error.is::<Interrupted>() => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error),
    }
}
