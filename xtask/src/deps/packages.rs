//! Rules for every package in the lock file: its licence, its source, and a few bans.

use std::fmt::Display;

use cargo_metadata::{Metadata, Package};
use spdx::{Expression, LicenseReq, ParseMode};

/// Licences that require at most attribution. Read a new licence before adding it here; there are no exceptions.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "NCSA",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];
/// `WITH` additions that only grant more rights.
const ADDITIONS: &[&str] = &["LLVM-exception"];

/// This project uses rustls; these packages link a library of the machine, which differs between machines.
const BANNED: &[&str] = &["native-tls", "openssl", "openssl-sys"];

/// Returns one line for each violation.
pub(crate) fn violations(metadata: &Metadata) -> Vec<String> {
    metadata.packages.iter().flat_map(|package| check(package, metadata)).collect()
}

fn check(package: &Package, metadata: &Metadata) -> Vec<String> {
    let name = format!("{} {}", package.name, package.version);
    let mut found = Vec::new();
    let mut report = |what: &dyn Display| found.push(format!("{name}: {what}"));

    if let Err(why) = permissive(package.license.as_deref()) {
        report(&why);
    }
    if BANNED.contains(&package.name.as_str()) {
        report(&"is banned");
    }
    if metadata.workspace_members.contains(&package.id) {
        // A path within the workspace determines the version; published crates also need a version, which cargo enforces.
        for wild in
            package.dependencies.iter().filter(|one| one.path.is_none() && one.req.comparators.is_empty())
        {
            report(&format_args!("takes any version of {}", wild.name));
        }
    } else if !package.source.as_ref().is_some_and(cargo_metadata::Source::is_crates_io) {
        report(&"comes from elsewhere than crates.io");
    }
    found
}

fn permissive(licence: Option<&str>) -> Result<(), String> {
    // LAX also accepts the old `MIT/Apache-2.0`.
    let text = licence.ok_or("names no licence")?;
    let expression = Expression::parse_mode(text, ParseMode::LAX)
        .map_err(|error| format!("has a licence that cannot be read, {text}: {}", error.reason))?;
    if expression.evaluate(is_allowed) {
        Ok(())
    } else {
        Err(format!("is under {text}, which is not allowed"))
    }
}

fn is_allowed(requirement: &LicenseReq) -> bool {
    let licence = requirement.license.id().is_some_and(|id| LICENCES.contains(&id.name));
    let addition = requirement
        .addition
        .as_ref()
        .is_none_or(|addition| ADDITIONS.contains(&addition.to_string().as_str()));
    licence && addition
}

#[cfg(test)]
#[path = "packages_tests.rs"]
mod tests;
