//! The question that rules answer: a stack, and the circumstances in which it is judged.

use std::collections::BTreeMap;

use crate::model::Stack;

/// Who reads the environment of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// The consumer, in a container.
    Consumer,
    /// The Lambda function.
    Lambda,
}

/// Reads an environment as the runtime does; the error is all problems. What only the deployment knows is not among the
/// variables, except for queue URLs, which are made up.
pub type EnvironmentCheck<'a> = &'a dyn Fn(&BTreeMap<String, String>, Host) -> Result<(), Vec<String>>;

/// How to check.
#[derive(Default, Clone, Copy)]
pub struct Options<'a> {
    /// The runtime's own parser, for rule E09. Without it that part of the rule is not checked.
    pub environment: Option<EnvironmentCheck<'a>>,
}

/// What a rule is asked about.
pub(crate) struct Case<'a> {
    /// The stack to judge.
    pub(crate) stack: &'a Stack,
    /// All stacks that are used together, at their defaults, the one to judge among them.
    pub(crate) together: &'a [Stack],
    pub(crate) options: &'a Options<'a>,
}
