//! The input of rules: a stack, and the options for its check.

use std::collections::BTreeMap;

use crate::model::Stack;

/// The program that reads a process's environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// The consumer, in a container.
    Consumer,
    /// The Lambda function.
    Lambda,
}

/// Reads an environment as the runtime does, and returns all problems as the error. Values that are known only after the
/// deployment are not among the variables, except for queue URLs, which are made up.
pub type EnvironmentCheck<'a> = &'a dyn Fn(&BTreeMap<String, String>, Host) -> Result<(), Vec<String>>;

/// The options of a check.
#[derive(Default, Clone, Copy)]
pub struct Options<'a> {
    /// The runtime's own parser, for rule E09. Without it, that part of the rule is not checked.
    pub environment: Option<EnvironmentCheck<'a>>,
}

/// The input of one rule.
pub(crate) struct Case<'a> {
    /// The stack to check.
    pub(crate) stack: &'a Stack,
    /// All stacks that are used together, at their defaults, including the one to check.
    pub(crate) together: &'a [Stack],
    pub(crate) options: &'a Options<'a>,
}
