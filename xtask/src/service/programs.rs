//! Finds installed programs.

use std::env;
use std::path::{Path, PathBuf};

/// Returns the folders of the search path.
pub(super) fn search_path() -> Vec<PathBuf> {
    env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect()
}

/// Returns the first of these programs that exists; the order of names has precedence over that of folders.
pub(super) fn first(names: &[&str], folders: &[PathBuf]) -> Option<PathBuf> {
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| path.is_file())
}

/// Returns the first folder that contains all these programs.
pub(super) fn folder_with<'a>(names: &[&str], folders: &'a [PathBuf]) -> Option<&'a Path> {
    let holds_all = |folder: &&PathBuf| names.iter().all(|name| folder.join(name).is_file());
    folders.iter().find(holds_all).map(PathBuf::as_path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn the_preferred_program_wins_in_any_folder() {
        let home = TempDir::new().unwrap();
        let folders = ["a", "b", "missing"].map(|name| home.path().join(name));
        assert_eq!(first(&["redis-server", "valkey-server"], &folders), None);
        fs::create_dir_all(folders[0].join("redis-server")).unwrap(); // A folder is no program.
        fs::write(folders[0].join("valkey-server"), "").unwrap();
        let found = || first(&["redis-server", "valkey-server"], &folders).unwrap();
        assert_eq!(found(), folders[0].join("valkey-server"));
        fs::create_dir_all(&folders[1]).unwrap();
        fs::write(folders[1].join("redis-server"), "").unwrap();
        assert_eq!(found(), folders[1].join("redis-server"));
    }

    #[test]
    fn half_of_the_programs_are_as_good_as_none() {
        let home = TempDir::new().unwrap();
        let folders = ["a", "b"].map(|name| home.path().join(name));
        for (folder, programs) in folders.iter().zip([&["postgres"][..], &["postgres", "initdb"]]) {
            fs::create_dir(folder).unwrap();
            for program in programs {
                fs::write(folder.join(program), "").unwrap();
            }
        }
        assert_eq!(folder_with(&["initdb", "postgres"], &folders), Some(folders[1].as_path()));
        assert_eq!(folder_with(&["initdb", "postgres"], &folders[..1]), None);
    }
}
