//! The guards that check a payload before it is sent. Secrets, personal data and long texts do not belong in a queue, which
//! keeps them for days, shows them in consoles, and copies them into dead letters and exports. Payloads should contain
//! references.
//!
//! Guards are pure functions of a job type and a payload. Their [tables] are constants, from which the clients in other
//! languages are generated.

mod allowance;
mod card;
mod email;
mod finding;
mod inspection;
mod jwt;
mod kind;
mod names;
mod pointer;
mod policy;
mod schema_guard;
mod secret;
mod shown_names;
pub mod tables;
mod walk;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

pub use allowance::{Allowance, InvalidAllowance};
pub use finding::Finding;
pub use kind::{Action, FindingKind, Severity};
pub use names::normalized;
pub use pointer::field;
pub use policy::Guards;
pub use schema_guard::{InvalidSchema, SchemaGuard, SchemaProblem};
pub use shown_names::push_name;
