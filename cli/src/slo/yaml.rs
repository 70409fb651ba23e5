//! Writes documents as YAML.

use drumline_consumer::ExitError;

use super::target::Target;

/// Returns a value as YAML, after comment lines that name the targets.
pub(super) fn yaml(
    title: &str,
    targets: &[Target],
    value: &impl serde::Serialize,
) -> Result<String, ExitError> {
    let yaml = serde_norway::to_string(value).map_err(|error| ExitError::other(error.to_string()))?;
    let comment = |target: &Target| {
        let notes = target.notes().into_iter().map(|note| format!("#   {note}\n"));
        [format!("# - {target}\n")].into_iter().chain(notes).collect::<Vec<_>>().concat()
    };
    let comments = targets.iter().map(comment).collect::<Vec<_>>().concat();
    Ok(format!("# {title}\n{comments}{yaml}"))
}
