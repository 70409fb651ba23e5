//! The scripts.

mod ordered;
mod otherwise;
mod standard;

use crate::script::Step::Create;
use crate::script::{Scenario, Step};

const FIFO: (&str, &str) = ("FifoQueue", "true");
const REDRIVE_AT_1: (&str, &str) =
    ("RedrivePolicy", r#"{"deadLetterTargetArn":"{{dlq}}","maxReceiveCount":1}"#);
const REDRIVE_AT_2: (&str, &str) =
    ("RedrivePolicy", r#"{"deadLetterTargetArn":"{{dlq}}","maxReceiveCount":"2"}"#);
const FIFO_REDRIVE: (&str, &str) =
    ("RedrivePolicy", r#"{"deadLetterTargetArn":"{{dlq.fifo}}","maxReceiveCount":1}"#);
const IN_FLIGHT: &str = "ApproximateNumberOfMessagesNotVisible";
const VISIBLE: &str = "ApproximateNumberOfMessages";

/// All scenarios.
pub(crate) fn all() -> Vec<Scenario> {
    [
        standard::queues(),
        standard::sending(),
        standard::receiving(),
        standard::settling(),
        ordered::fifo(),
        ordered::dead_letters(),
        otherwise::documented_otherwise(),
    ]
    .concat()
}

fn scenario(name: &'static str, steps: Vec<Step>) -> Scenario {
    Scenario { name, steps }
}

/// A scenario on one standard queue called `q`.
fn on_queue(name: &'static str, steps: Vec<Step>) -> Scenario {
    scenario(name, [vec![Create("q", vec![])], steps].concat())
}

/// A scenario on one FIFO queue called `q.fifo`.
fn on_fifo(name: &'static str, steps: Vec<Step>) -> Scenario {
    scenario(name, [vec![Create("q.fifo", vec![FIFO])], steps].concat())
}
