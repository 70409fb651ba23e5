//! The machine on which the benchmark runs.

use std::fmt;
use std::thread::available_parallelism;

use anyhow::Result;
use serde::Serialize;

use crate::usage::processor_name;

/// The machine, for a report's first line.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) processor: Option<String>,
}

impl Machine {
    pub(crate) fn this() -> Result<Self> {
        Ok(Self { cores: available_parallelism()?.get(), processor: processor_name() })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let processor = self.processor.as_deref().unwrap_or("unknown processor");
        write!(f, "{} cores ({processor})", self.cores)
    }
}
