//! Keeps the files that producers can write separate from the operator's files.
//!
//! A message names the files that a job reads and writes. If the mail templates were among these files, a message could replace
//! a template, and the next mail would be made from it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

#[cfg(feature = "mail")]
use super::mail::{MailRoute, MailSettings, USERS};
use super::reader::Reader;
use super::variables::{CONFIG, FILE_ROOT, WEBHOOK_ENDPOINTS};
#[cfg(feature = "mail")]
use super::variables::{MAIL_OUTBOX, MAIL_TEMPLATES};

/// Adds a problem for each of the mail's paths that the file root contains or is inside of. Paths are compared without symbolic
/// links.
#[cfg(feature = "mail")]
pub(super) fn check_mail(
    read: &mut Reader<impl Fn(&str) -> Option<String>>,
    file_root: &Path,
    mail: &MailSettings,
) {
    let root = real(file_root);
    let mut apart = |name: &str, what: &str, path: &Path, may_surround: bool| {
        let found = spellings(path);
        let is_inside = found.iter().any(|path| path.starts_with(&root));
        let surrounds = !may_surround && found.iter().any(|path| root.starts_with(path));
        if is_inside || surrounds {
            let relation = if is_inside { "contains" } else { "lies in" };
            read.problem(
                FILE_ROOT,
                format!(
                    "{} {relation} {what} {} ({name}): a message could name a file of it; give the jobs' files a folder \
                     of their own",
                    file_root.display(),
                    path.display()
                ),
            );
        }
    };
    apart(MAIL_TEMPLATES, "the folder of the mail templates", &mail.templates, false);
    apart(MAIL_TEMPLATES, "the list of users", &mail.templates.join(USERS), true);
    if let MailRoute::Outbox(outbox) = &mail.route {
        apart(MAIL_OUTBOX, "the outbox", outbox, false);
    }
}

/// Adds a problem if the file root contains the settings file. The settings file's folder may contain the jobs' folder, as with
/// `./drumline.toml` and `./data`.
pub(super) fn check_config(read: &mut Reader<impl Fn(&str) -> Option<String>>, file_root: &Path) {
    let Some(config) = read.get(CONFIG).and_then(|path| std::path::absolute(path).ok()) else { return };
    check_file(read, file_root, "settings file", &config, CONFIG);
}

/// Adds a problem if the file root contains the file of the webhook endpoints.
pub(super) fn check_endpoints(
    read: &mut Reader<impl Fn(&str) -> Option<String>>,
    file_root: &Path,
    endpoints: Option<&Path>,
) {
    if let Some(endpoints) = endpoints {
        check_file(read, file_root, "file of endpoints", endpoints, WEBHOOK_ENDPOINTS);
    }
}

fn check_file(
    read: &mut Reader<impl Fn(&str) -> Option<String>>,
    file_root: &Path,
    what: &str,
    file: &Path,
    variable: &str,
) {
    let root = real(file_root);
    if spellings(file).iter().any(|path| path.starts_with(&root)) {
        read.problem(
            FILE_ROOT,
            format!(
                "{} contains the {what} {} ({variable}): a message could name it; give the jobs' files a folder of \
                 their own",
                file_root.display(),
                file.display()
            ),
        );
    }
}

/// Returns the resolved path, and the path of the link itself if the path is a link.
fn spellings(path: &Path) -> [PathBuf; 2] {
    let by_name = match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => real(parent).join(name),
        _ => real(path),
    };
    [real(path), by_name]
}

/// Returns a path without symbolic links. Its end need not exist yet.
fn real(path: &Path) -> PathBuf {
    let mut missing: Vec<OsString> = Vec::new();
    for existing in path.ancestors() {
        if let Ok(mut real) = existing.canonicalize() {
            real.extend(missing.iter().rev());
            return real;
        }
        missing.extend(existing.file_name().map(ToOwned::to_owned));
    }
    path.to_owned()
}

#[cfg(all(test, feature = "mail"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use super::*;
    use crate::Settings;

    /// Returns the problems of the settings, with paths below `folder`.
    fn problems(folder: &Path, values: &[(&str, &str)]) -> Vec<String> {
        let settings = Settings::from_lookup(|name| {
            let value = values.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)?;
            Some(folder.join(value).display().to_string())
        });
        settings.err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_root_is_apart_from_the_operators_places() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["data/below", "mail", "etc"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let templates = (MAIL_TEMPLATES, "mail");
        for (values, named) in [
            (&[(FILE_ROOT, "data"), templates, (MAIL_OUTBOX, "out")][..], None),
            (&[(FILE_ROOT, "data"), templates, (CONFIG, "drumline.toml")], None),
            (&[(FILE_ROOT, "dat"), (MAIL_TEMPLATES, "data"), (MAIL_OUTBOX, "data2")], None),
            (&[(FILE_ROOT, ""), templates], Some(MAIL_TEMPLATES)),
            (&[(FILE_ROOT, "mail"), templates], Some(MAIL_TEMPLATES)),
            (&[(FILE_ROOT, "mail/new"), templates], Some(MAIL_TEMPLATES)),
            (&[(FILE_ROOT, "data/../mail/new"), templates], Some(MAIL_TEMPLATES)),
            (&[(FILE_ROOT, "data"), (MAIL_TEMPLATES, "data/below")], Some(MAIL_TEMPLATES)),
            // It does not exist yet, so a message could create it.
            (&[(FILE_ROOT, "data"), (MAIL_TEMPLATES, "data/not/yet")], Some(MAIL_TEMPLATES)),
            (&[(FILE_ROOT, "data"), templates, (MAIL_OUTBOX, "data/out")], Some(MAIL_OUTBOX)),
            (&[(FILE_ROOT, "out/new"), templates, (MAIL_OUTBOX, "out")], Some(MAIL_OUTBOX)),
            (&[(FILE_ROOT, "etc"), templates, (CONFIG, "etc/drumline.toml")], Some(CONFIG)),
        ] {
            let problems = problems(folder.path(), values);
            match named {
                None => assert!(problems.is_empty(), "{values:?}: {problems:?}"),
                Some(name) => {
                    assert!(!problems.is_empty(), "{values:?}");
                    for problem in &problems {
                        let shown = problem.starts_with(FILE_ROOT) && problem.contains(name);
                        assert!(shown, "{values:?}: {problem}");
                    }
                }
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_do_not_hide_that_places_overlap() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["data", "mail", "other"] {
            fs::create_dir(at(name)).unwrap();
        }
        symlink("mail", at("link-to-mail")).unwrap();
        symlink("../other", at("data/link-out")).unwrap();
        fs::write(at("data/users.json"), "{}").unwrap();
        symlink("../data/users.json", at("mail/users.json")).unwrap();
        for (values, part) in [
            ([(FILE_ROOT, "link-to-mail"), (MAIL_TEMPLATES, "mail")], "the folder of the mail templates"),
            ([(FILE_ROOT, "mail"), (MAIL_TEMPLATES, "link-to-mail")], "the folder of the mail templates"),
            // The link itself is among the jobs' files, so it can be replaced.
            ([(FILE_ROOT, "data"), (MAIL_TEMPLATES, "data/link-out")], "the folder of the mail templates"),
            ([(FILE_ROOT, "data"), (MAIL_TEMPLATES, "mail")], "the list of users"),
        ] {
            let problems = problems(folder.path(), &values);
            assert!(problems.iter().any(|problem| problem.contains(part)), "{values:?}: {problems:?}");
        }
    }
}
