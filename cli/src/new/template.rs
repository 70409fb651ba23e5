//! The files of a new service: those of `cli/templates/service`, with the name of the service instead of the template's.

use std::path::Path;

use drumline_consumer::ExitError;

use super::name::ServiceName;
use super::origin::{Origin, git_ref};

/// The name of the service in the template, and the same name as an identifier in Rust code.
const NAME: &str = "my-service";
const NAME_IN_CODE: &str = "my_service";

macro_rules! template {
    ($($path:literal from $file:literal,)*) => {
        /// The paths of the files in a service, and their texts. Some have another name in the template: cargo treats a folder
        /// with a `Cargo.toml` as a package, and hidden files are easily missed.
        const FILES: &[(&str, &str)] =
            &[$(($path, include_str!(concat!("../../templates/service/", $file)))),*];
        /// Their names in the template.
        #[cfg(test)]
        const SOURCES: &[&str] = &[$($file),*];
    };
}

template! {
    "Cargo.toml" from "Cargo.toml.template",
    "src/lib.rs" from "src/lib.rs",
    "src/welcome.rs" from "src/welcome.rs",
    "src/report.rs" from "src/report.rs",
    "src/bin/worker.rs" from "src/bin/worker.rs",
    "src/bin/function.rs" from "src/bin/function.rs",
    "tests/jobs.rs" from "tests/jobs.rs",
    "drumline.toml" from "drumline.toml",
    "README.md" from "README.md",
    "AGENTS.md" from "AGENTS.md",
    "Dockerfile" from "Dockerfile",
    ".dockerignore" from "dockerignore",
    ".gitignore" from "gitignore",
    ".github/workflows/ci.yml" from "github/workflows/ci.yml",
    "infra/README.md" from "infra/README.md",
    "infra/cloudformation/queue.json" from "infra/cloudformation/queue.json",
    "infra/cloudformation/worker-fargate.json" from "infra/cloudformation/worker-fargate.json",
    "infra/cloudformation/worker-lambda.json" from "infra/cloudformation/worker-lambda.json",
    "infra/terraform/fargate/main.tf" from "infra/terraform/fargate/main.tf",
    "infra/terraform/fargate/terraform.tfvars" from "infra/terraform/fargate/terraform.tfvars",
    "infra/terraform/lambda/main.tf" from "infra/terraform/lambda/main.tf",
    "infra/terraform/lambda/terraform.tfvars" from "infra/terraform/lambda/terraform.tfvars",
}

/// Returns the files for a service in `folder`: their relative paths and their texts.
pub(super) fn files(
    name: &ServiceName,
    origin: &Origin,
    folder: &Path,
) -> Result<Vec<(&'static str, String)>, ExitError> {
    let folder = std::env::current_dir()?.canonicalize()?.join(folder);
    // The name is replaced first, because an inserted path may contain the template's name.
    let replacements = [
        (NAME, name.as_str().to_owned()),
        (NAME_IN_CODE, name.in_code()),
        ("{{handler}}", origin.dependency("handler")),
        ("{{cli}}", origin.dependency("cli")),
        ("{{lambda}}", origin.dependency("lambda")),
        ("{{modules}}", origin.modules(&folder.join("infra/terraform/fargate"))),
        ("{{ref}}", origin.modules_ref()),
        ("{{git-ref}}", git_ref()),
    ];
    let replace = |text: &str| {
        replacements.iter().fold(text.to_owned(), |text, (token, value)| text.replace(token, value))
    };
    Ok(FILES.iter().map(|(path, text)| (*path, replace(text))).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;

    use drumline_infra_rules::Template;
    use serde_json::Value;

    use super::*;

    fn service() -> Vec<(&'static str, String)> {
        files(&ServiceName::parse("order-mail").unwrap(), &Origin::Registry, Path::new("order-mail")).unwrap()
    }

    /// Collects all files below a folder with their relative paths.
    fn below(folder: &Path, within: &str, all: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{within}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                below(&entry.path(), &format!("{name}/"), all);
            } else {
                all.insert(name);
            }
        }
    }

    #[test]
    fn a_service_has_every_file_of_the_template() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/service");
        let mut all = BTreeSet::new();
        below(&folder, "", &mut all);
        assert_eq!(SOURCES.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>(), all);
    }

    #[test]
    fn nothing_of_the_template_is_left_in_a_service() {
        for (path, text) in service() {
            for left in ["{{", NAME, NAME_IN_CODE] {
                assert!(!text.contains(left), "{left} in {path}");
            }
        }
    }

    /// A file of parameters for CloudFormation.
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Chosen {
        parameter_key: String,
        parameter_value: String,
    }

    #[test]
    fn the_parameters_match_the_templates_and_their_bounds() {
        let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/cloudformation");
        for (file, text) in service() {
            let Some(name) = file.strip_prefix("infra/cloudformation/") else { continue };
            let chosen: Vec<Chosen> = serde_json::from_str(&text).unwrap();
            let template = Template::load(&templates.join(name).with_extension("yaml")).unwrap();
            let values = chosen.iter().map(|chosen| {
                let value = chosen.parameter_value.as_str();
                let value = value.parse::<u64>().map_or_else(|_| value.into(), Value::from);
                (chosen.parameter_key.clone(), value)
            });
            let values: BTreeMap<String, Value> = values.collect();
            let stack = template.stack(&values);
            for (key, value) in &values {
                let parameter = stack.parameters.get(key).unwrap_or_else(|| panic!("{key} of {file}"));
                let number = value.as_f64();
                assert!(
                    parameter.min.is_none_or(|min| number.is_some_and(|number| number >= min)),
                    "{file} {key}"
                );
                assert!(
                    parameter.max.is_none_or(|max| number.is_some_and(|number| number <= max)),
                    "{file} {key}"
                );
            }
            let left_open = stack.parameters.iter().filter(|(_, parameter)| parameter.value.is_none());
            assert_eq!(left_open.map(|(key, _)| key).collect::<Vec<_>>(), [""; 0], "{file}");
        }
    }
}
