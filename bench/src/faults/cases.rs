//! The cases, one per file.

mod crashes;
mod dependency;
mod deploy;
mod descriptors;
mod killers;
mod linger;
mod lock;
mod receives;
mod sqs500;
mod stop;
mod store;

use anyhow::Result;

use super::lab::Lab;
use super::row::Row;

/// A case to measure.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) measure: fn(&Lab) -> Result<Vec<Row>>,
}

pub(super) const ALL: [Case; 11] = [
    Case {
        name: "receives",
        about: "throughput while receives fail, to the undisturbed run",
        measure: receives::measure,
    },
    Case { name: "store", about: "effects that happen twice after a store outage", measure: store::measure },
    Case {
        name: "descriptors",
        about: "messages dead after file descriptors run out",
        measure: descriptors::measure,
    },
    Case {
        name: "dependency",
        about: "messages dead after a dependency was down for 45 s",
        measure: dependency::measure,
    },
    Case { name: "sqs500", about: "the first job after 30 s of errors from SQS", measure: sqs500::measure },
    Case { name: "crashes", about: "draining a queue after three SIGKILLs", measure: crashes::measure },
    Case {
        name: "deploy",
        about: "draining a queue after a dependency's outage and a restart",
        measure: deploy::measure,
    },
    Case {
        name: "killers",
        about: "innocent jobs dead beside two that kill the process",
        measure: killers::measure,
    },
    Case { name: "lock", about: "200 jobs of 1 ms on one lock", measure: lock::measure },
    Case { name: "linger", about: "reruns after SIGKILL of jobs that had ended", measure: linger::measure },
    Case { name: "stop", about: "SIGTERM while deletes fail for 5 s", measure: stop::measure },
];
