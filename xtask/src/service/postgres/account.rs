//! The account for PostgreSQL, which refuses to run as root: an account without rights runs it, in a folder that this account
//! can reach.

use std::env;
use std::fmt;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::service::server;

/// The candidates, best first: Debian's package creates the first, every system has the second.
const NAMES: [&str; 2] = ["postgres", "nobody"];
/// The right to pass through a folder, for all users.
const PASS: u32 = 0o001;

/// The numbers of a user and a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) struct Account {
    uid: u32,
    gid: u32,
}

/// Formats the account for tests: `UID:GID`.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

/// Returns the account to use; `None` if this process does not run as root: then PostgreSQL runs under the same user.
pub(in crate::service) fn needed() -> Result<Option<Account>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
    let account = first_in(&users).with_context(|| {
        format!("PostgreSQL refuses to run as root, and none of the users {NAMES:?} exists")
    })?;
    Ok(Some(account))
}

fn first_in(users: &str) -> Option<Account> {
    NAMES.iter().find_map(|wanted| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            if fields.next() != Some(wanted) {
                return None;
            }
            let mut number = fields.skip(1).map_while(|field| field.parse().ok());
            Some(Account { uid: number.next()?, gid: number.next()? })
        })
    })
}

impl Account {
    /// Runs the command under this account. The groups of this process are dropped, too.
    pub(super) fn run(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Creates a folder for the account, below the given one if the account can reach that.
    pub(in crate::service) fn files(self, within: &Path) -> Result<TempDir> {
        let within = first_reachable(&[within.to_owned(), env::temp_dir(), PathBuf::from("/tmp")])?;
        let files = server::files(&within)?;
        chown(files.path(), Some(self.uid), Some(self.gid))
            .with_context(|| format!("cannot give {} to user {}", files.path().display(), self.uid))?;
        Ok(files)
    }
}

/// Returns the first folder that all users can reach: a home folder, especially root's, is often closed to others.
fn first_reachable(folders: &[PathBuf]) -> Result<PathBuf> {
    let reachable = folders.iter().find(|folder| {
        folder.canonicalize().is_ok_and(|folder| {
            folder
                .ancestors()
                .all(|folder| fs::metadata(folder).is_ok_and(|found| found.mode() & PASS == PASS))
        })
    });
    reachable.cloned().with_context(|| format!("only root can reach any of {folders:?}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_servers_own_user_comes_first() {
        let root = "root:x:0:0:root:/root:/bin/bash\n";
        let nobody = "nobody:x:65534:65533::/nonexistent:/usr/sbin/nologin\n";
        let postgres = "postgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\n";
        let found = |users: &[&str]| first_in(&users.concat()).map(|account| account.to_string());
        assert_eq!(found(&[root, nobody, postgres]).as_deref(), Some("101:104"));
        assert_eq!(found(&[root, nobody]).as_deref(), Some("65534:65533"));
        assert_eq!(found(&[root, "postgres:x:?:?::/:\n", "postgresql:x:1:1::/:\n"]), None);
    }

    #[test]
    fn a_folder_below_a_closed_one_is_passed_over() {
        let home = TempDir::new().unwrap();
        let [closed, open, below] = ["closed", "open", "closed/below"].map(|name| home.path().join(name));
        for (folder, mode) in [(&closed, 0o700), (&open, 0o711), (&below, 0o755)] {
            fs::create_dir(folder).unwrap();
            fs::set_permissions(folder, Permissions::from_mode(mode)).unwrap();
        }
        fs::set_permissions(home.path(), Permissions::from_mode(0o711)).unwrap();
        assert_eq!(first_reachable(&[closed.clone(), below, open.clone()]).unwrap(), open);
        let missing = home.path().join("missing");
        assert!(first_reachable(&[closed.clone(), missing, closed]).is_err());
    }
}
