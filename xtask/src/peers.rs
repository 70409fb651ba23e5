//! `cargo xtask peers`: runs Redis, PostgreSQL and `DynamoDB` for a developer's experiments.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};

use xtask::interrupt::{self, Interrupted};
use xtask::service::clients;
use xtask::service::peers::{self, Peers};

/// The time for which each server is watched before the next one.
const WATCH: Duration = Duration::from_millis(200);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only find or install them, without starting them
    #[arg(long)]
    prepare: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let interrupts = interrupt::catch()?;
    let installations = peers::prepare(&interrupts)?;
    if options.prepare {
        clients::prepare(&interrupts)?;
        return Ok(ExitCode::SUCCESS);
    }
    let peers = Peers::start(&installations, &interrupts)?;
    println!("\nThey run until Ctrl-C. To use them from another terminal:");
    for (name, value) in peers.env() {
        println!("    export {name}={value}");
    }
    match watch(peers) {
        Err(error) if error.is::<Interrupted>() => Ok(ExitCode::SUCCESS),
        result => result,
    }
}

/// Returns when one of the servers has ended, which is unexpected.
fn watch(mut peers: Peers) -> Result<ExitCode> {
    loop {
        for (name, process) in peers.processes() {
            if let Some(status) = process.ended_within(WATCH)? {
                bail!("{name} ended by itself with {status}; see its log");
            }
        }
    }
}
