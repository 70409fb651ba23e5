//! Rules for templates that deploy SQS queues and their workers: 85 of them, each with the reason and the way to mend
//! what breaks it. They are for this repository's templates, where every one is decidable, and for anybody's, where a
//! rule is silent about what only a deployment knows.
//!
//! ```
//! use drumline_infra_rules::{Options, Template, check};
//! let yaml = "Resources: { Jobs: { Type: 'AWS::SQS::Queue' } }";
//! let template = Template::parse("jobs.yaml", yaml)?;
//! let findings = check(&[template], &Options::default());
//! assert!(findings.iter().any(|finding| finding.rule == "Q01"), "no redrive policy");
//! # Ok::<(), drumline_infra_rules::TemplateError>(())
//! ```
//!
//! - [`model`]: what rules look at. Nothing in it is CloudFormation's alone.
//! - [`Source`]: what makes [`model::Stack`]s of a file, at the defaults and at each parameter's bounds. A language is
//!   one implementation; CloudFormation's is in `cloudformation`.
//! - `views`: queues, roles, functions, tasks and metrics as rules want to see them.
//! - `rules`: the rules, by group.

mod check;
mod cloudformation;
mod finding;
pub mod model;
#[cfg(test)]
mod mutants;
mod rules;
mod template;
pub mod terraform;
mod value;
mod views;

pub use check::{EnvironmentCheck, Host, Options, check};
pub use finding::{Finding, Place};
pub use rules::{Rule, rules};
pub use template::{Source, Template, TemplateError};
