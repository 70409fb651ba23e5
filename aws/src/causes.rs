//! Errors with their causes, in words.

/// Returns an error and what caused it, in words, each once: some errors end in the text of their cause. `DisplayErrorContext` would add
/// their inner structure, which is of no use to an operator.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let causes = std::iter::successors(error.source(), |error| error.source());
    for cause in causes.map(ToString::to_string) {
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}
