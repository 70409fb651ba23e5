//! Errors with their causes, in words.

/// Returns an error and what caused it, in words. `DisplayErrorContext` would add their inner structure, which is of no use to an operator.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
