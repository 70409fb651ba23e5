//! The only place where outcomes are decided: of a run by its ending (`ending`), stopped or not (`run`); of a message that does
//! not run (`unrun`); and of a done job by the answer to its mark (`mark`).

mod ending;
mod mark;
mod run;
mod unrun;

pub(crate) use ending::hidden_without_dlq;
pub use ending::{DecisionInput, decide};
pub(crate) use mark::{MarkDecision, decide_mark};
pub(crate) use run::{RunDecision, decide_run};
pub(crate) use unrun::{Unrun, decide_start, decide_unrun};
