//! Finds PostgreSQL's server: packages seldom put it on the search path, because several versions can be installed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::service::programs::{folder_with, search_path};

const PROGRAMS: [&str; 2] = ["initdb", "postgres"];

/// A place with a folder per version, and the prefix of these folders' names.
struct Versions {
    within: &'static str,
    prefix: &'static str,
}

const PLACES: [Versions; 5] = [
    // Debian, and PGDG's packages for it.
    Versions { within: "/usr/lib/postgresql", prefix: "" },
    // PGDG's packages for Fedora, RHEL and the like.
    Versions { within: "/usr", prefix: "pgsql-" },
    // Homebrew, on Apple's processors and on Intel's.
    Versions { within: "/opt/homebrew/opt", prefix: "postgresql" },
    Versions { within: "/usr/local/opt", prefix: "postgresql" },
    Versions { within: "/Applications/Postgres.app/Contents/Versions", prefix: "" },
];

/// Returns the folder with the server's programs: from the search path, otherwise of a package's newest version.
pub(in crate::service) fn programs() -> Option<PathBuf> {
    let packaged = PLACES
        .iter()
        .flat_map(|place| newest_first(Path::new(place.within), place.prefix))
        .collect::<Vec<_>>();
    let folders = [search_path(), packaged].concat();
    folder_with(&PROGRAMS, &folders).map(Path::to_owned)
}

/// Returns the `bin` folders of all versions in a place, newest first.
fn newest_first(within: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut versions: Vec<(Vec<u32>, PathBuf)> = fs::read_dir(within)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let version = version(entry.file_name().to_str()?.strip_prefix(prefix)?);
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    versions.into_iter().rev().map(|(_, folder)| folder).collect()
}

/// Returns the numbers in a folder's name: `16` and `@16` are newer than `9.6`, which is newer than a name without a number.
fn version(name: &str) -> Vec<u32> {
    name.split(|character: char| !character.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn the_newest_version_comes_first() {
        let home = TempDir::new().unwrap();
        for name in ["9.6", "15", "17", "latest"] {
            fs::create_dir(home.path().join(name)).unwrap();
        }
        let expected = ["17", "15", "9.6", "latest"].map(|name| home.path().join(name).join("bin"));
        assert_eq!(newest_first(home.path(), ""), expected);
    }

    #[test]
    fn other_packages_are_ignored() {
        let home = TempDir::new().unwrap();
        for name in ["postgresql@16", "postgresql", "postgresql@17", "redis"] {
            fs::create_dir(home.path().join(name)).unwrap();
        }
        let expected =
            ["postgresql@17", "postgresql@16", "postgresql"].map(|name| home.path().join(name).join("bin"));
        assert_eq!(newest_first(home.path(), "postgresql"), expected);
        assert_eq!(newest_first(&home.path().join("nowhere"), ""), Vec::<PathBuf>::new());
    }
}
