//! The text of an error with its causes.

/// Returns the text of an error and of its causes, each once, because some errors already contain the text of their cause.
/// `DisplayErrorContext` would add their inner structure, which does not help an operator.
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
