//! The cores on which processes run while they are measured.

use anyhow::{Result, ensure};

use crate::machine::Machine;

/// The server's core. The server and the worker have a core each; the harness shares the server's.
pub(crate) const SERVER: usize = 0;
/// The worker's core.
pub(crate) const WORKER: usize = 1;

/// Fails on a machine with one core.
pub(crate) fn check(machine: &Machine) -> Result<()> {
    ensure!(machine.cores > WORKER, "the server and the worker need a core each; this machine has one");
    Ok(())
}
