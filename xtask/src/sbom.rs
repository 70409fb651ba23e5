//! `cargo xtask sbom`: prints the components of a program as a [CycloneDX](https://cyclonedx.org/docs/1.6/json/) document.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use clap::Args;
use serde_json::{Value, json};

use xtask::project;

#[derive(Args)]
pub(crate) struct Options {
    /// The package whose program is described
    #[arg(long, default_value = "drumline-cli")]
    package: String,
    /// The system for which it is built
    #[arg(long, value_name = "TRIPLE", default_value = "x86_64-unknown-linux-gnu")]
    target: String,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let metadata = MetadataCommand::new()
        .current_dir(project::root())
        // With the features of a release.
        .features(CargoOpt::NoDefaultFeatures)
        .features(CargoOpt::SomeFeatures(vec![
            "drumline-cli/bin".to_owned(),
            "drumline-lambda/bin".to_owned(),
        ]))
        .other_options(["--locked".to_owned(), "--filter-platform".to_owned(), options.target.clone()])
        .exec()
        .context("cargo metadata failed")?;
    let checksums = checksums(&std::fs::read_to_string(project::root().join("Cargo.lock"))?);
    println!("{:#}", document(&metadata, &options.package, &checksums)?);
    Ok(ExitCode::SUCCESS)
}

fn document(metadata: &Metadata, name: &str, checksums: &BTreeMap<String, String>) -> Result<Value> {
    let Some(root) = metadata.workspace_packages().into_iter().find(|package| package.name.as_str() == name)
    else {
        bail!("the workspace has no package {name}");
    };
    let edges = edges(metadata)?;
    let mut reached = BTreeSet::from([&root.id]);
    let mut to_visit = vec![&root.id];
    while let Some(id) = to_visit.pop() {
        to_visit.extend(edges[id].iter().filter(|id| reached.insert(id)));
    }
    let packages: BTreeMap<&PackageId, &Package> =
        metadata.packages.iter().map(|package| (&package.id, package)).collect();
    let others = reached.iter().filter(|id| **id != &root.id).map(|id| packages[*id]);
    let dependencies = reached.iter().map(|id| {
        let on: Vec<String> = edges[*id].iter().map(|id| purl(packages[id])).collect();
        json!({ "ref": purl(packages[*id]), "dependsOn": on })
    });
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": component(root, "application", checksums) },
        "components": others.map(|package| component(package, "library", checksums)).collect::<Vec<_>>(),
        "dependencies": dependencies.collect::<Vec<_>>(),
    }))
}

/// Returns the dependencies of each package. Packages that are only used to build or test are not a part of the program.
fn edges(metadata: &Metadata) -> Result<BTreeMap<&PackageId, BTreeSet<&PackageId>>> {
    let resolve = metadata.resolve.as_ref().context("cargo metadata has resolved nothing")?;
    let edges = resolve.nodes.iter().map(|node| {
        let is_linked = |dependency: &&cargo_metadata::NodeDep| {
            dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal)
        };
        (&node.id, node.deps.iter().filter(is_linked).map(|dependency| &dependency.pkg).collect())
    });
    Ok(edges.collect())
}

fn component(package: &Package, kind: &str, checksums: &BTreeMap<String, String>) -> Value {
    let mut component = json!({
        "type": kind,
        "bom-ref": purl(package),
        "name": package.name,
        "version": package.version.to_string(),
        "purl": purl(package),
    });
    if let Some(licence) = &package.license {
        // Today's expressions do not allow the old separator.
        component["licenses"] = json!([{ "expression": licence.replace('/', " OR ") }]);
    }
    if let Some(checksum) = checksums.get(&format!("{} {}", package.name, package.version)) {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}

fn purl(package: &Package) -> String {
    format!("pkg:cargo/{}@{}", package.name, package.version)
}

/// Returns the checksums in the lock file, by name and version.
fn checksums(lock: &str) -> BTreeMap<String, String> {
    let value = |line: &str, key: &str| {
        let text = line.strip_prefix(key)?.strip_prefix(" = \"")?;
        text.strip_suffix('"').map(str::to_owned)
    };
    let mut checksums = BTreeMap::new();
    for entry in lock.split("[[package]]") {
        let of = |key: &str| entry.lines().find_map(|line| value(line, key));
        if let (Some(name), Some(version), Some(checksum)) = (of("name"), of("version"), of("checksum")) {
            checksums.insert(format!("{name} {version}"), checksum);
        }
    }
    checksums
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_document_names_what_is_linked_with_licence_and_checksum() {
        let metadata = MetadataCommand::new().current_dir(project::root()).exec().unwrap();
        let lock = std::fs::read_to_string(project::root().join("Cargo.lock")).unwrap();
        let document = document(&metadata, "drumline-cli", &checksums(&lock)).unwrap();
        let components = document["components"].as_array().unwrap();
        let find = |name: &str| components.iter().find(|component| component["name"] == name);
        let tokio = find("tokio").unwrap();
        assert_eq!(tokio["licenses"][0]["expression"], "MIT");
        assert_eq!(tokio["hashes"][0]["content"].as_str().unwrap().len(), 64);
        assert!(find("drumline").is_some(), "the workspace's own crates are components too");
        assert!(find("proptest").is_none(), "what tests need is no part of it");
        let root = &document["metadata"]["component"]["bom-ref"];
        let dependencies = document["dependencies"].as_array().unwrap();
        assert!(
            dependencies
                .iter()
                .any(|of| of["ref"] == *root && !of["dependsOn"].as_array().unwrap().is_empty())
        );
    }
}
