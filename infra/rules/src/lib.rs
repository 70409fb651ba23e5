#![doc = include_str!("../README.md")]

mod case;
mod check;
mod cloudformation;
mod finding;
pub mod model;
#[cfg(test)]
mod mutants;
mod rule;
mod rules;
mod source;
mod template;
pub mod terraform;
mod value;
mod variants;
mod views;

pub use case::{EnvironmentCheck, Host, Options};
pub use check::{check, check_at_defaults};
pub use finding::{Finding, Place};
pub use rule::Rule;
pub use rules::rules;
pub use source::{Source, TemplateError};
pub use template::Template;
pub use value::whole_match;
