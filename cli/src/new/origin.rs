//! The source of Drumline's crates in a service's manifest, and of the modules in its Terraform configuration.

use std::path::{Component, Path, PathBuf};

use drumline_consumer::ExitError;

/// The version of this program and of the crates that the service uses.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The address of the repository, for Terraform's modules.
const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// The source of Drumline's crates and modules.
#[derive(Debug)]
pub(super) enum Origin {
    /// The registry; for modules, the repository's tag of the same version.
    Registry,
    /// A checkout of this repository.
    Checkout(PathBuf),
}

impl Origin {
    /// Returns the checkout in this folder.
    pub(super) fn checkout(folder: &Path) -> Result<Self, ExitError> {
        let missing = ["handler", "cli", "lambda"].map(|room| folder.join(room).join("Cargo.toml"));
        if let Some(manifest) = missing.iter().find(|manifest| !manifest.is_file()) {
            return Err(ExitError::usage(format!(
                "--path {}: no checkout of Drumline, since {} is no file; leave --path out for the crates of the registry",
                folder.display(),
                manifest.display()
            )));
        }
        let folder = folder.canonicalize();
        folder.map(Self::Checkout).map_err(|error| ExitError::usage(format!("--path: {error}")))
    }

    /// Returns the fields of a dependency on the crate in this folder of the repository.
    pub(super) fn dependency(&self, room: &str) -> String {
        match self {
            Self::Registry => format!("version = \"{VERSION}\""),
            // A JSON string is also a valid TOML string.
            Self::Checkout(folder) => {
                format!("path = {}", serde_json::json!(folder.join(room).to_string_lossy()))
            }
        }
    }

    /// Returns the source of Terraform's modules for a configuration in `folder`, without the name of a module.
    pub(super) fn modules(&self, folder: &Path) -> String {
        match self {
            Self::Registry => format!("git::{REPOSITORY}.git//infra/terraform/modules"),
            Self::Checkout(checkout) => relative(folder, &checkout.join("infra/terraform/modules")),
        }
    }

    /// Returns the part of a source that follows the name of a module.
    pub(super) fn modules_ref(&self) -> String {
        match self {
            Self::Registry => format!("?ref={}", git_ref()),
            Self::Checkout(_) => String::new(),
        }
    }
}

/// Returns the tag of this program's version.
pub(super) fn git_ref() -> String {
    format!("v{VERSION}")
}

/// Returns the relative path between two absolute folders. Terraform recognizes a path only if it begins with a dot.
fn relative(from: &Path, to: &Path) -> String {
    let (from, to): (Vec<Component>, Vec<Component>) =
        (from.components().collect(), to.components().collect());
    let shared = from.iter().zip(&to).take_while(|(from, to)| from == to).count();
    let up = from[shared..].iter().map(|_| "..".to_owned());
    let down = to[shared..].iter().map(|part| part.as_os_str().to_string_lossy().into_owned());
    let way = up.chain(down).collect::<Vec<_>>().join("/");
    if way.starts_with("..") { way } else { format!("./{way}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_from_folder_to_folder() {
        for (from, to, way) in [
            ("/a/b/c", "/a/x/y", "../../x/y"),
            ("/a/b", "/a/b/c/d", "./c/d"),
            ("/a/b", "/c", "../../c"),
            ("/a/b", "/a/b", "./"),
        ] {
            assert_eq!(relative(Path::new(from), Path::new(to)), way, "{from} to {to}");
        }
    }

    #[test]
    fn registry_versions_are_those_of_this_program() {
        let origin = Origin::Registry;
        assert_eq!(origin.dependency("handler"), format!("version = \"{VERSION}\""));
        assert!(origin.modules(Path::new("/a")).starts_with("git::https://"));
        assert_eq!(origin.modules_ref(), format!("?ref=v{VERSION}"));
    }

    #[test]
    fn what_is_no_checkout_is_refused() {
        let error = Origin::checkout(Path::new("/no/such/folder")).expect_err("there is none");
        assert!(error.to_string().contains("/no/such/folder/handler/Cargo.toml"), "{error}");
    }
}
