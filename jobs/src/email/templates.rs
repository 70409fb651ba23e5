//! Reads the files of the folder of mail templates: only files in this folder, and none that is too long.

use std::io::{self, ErrorKind as IoErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, Metadata};
use minijinja::{Environment, Error, ErrorKind, TemplateSource, UndefinedBehavior};

/// The longest template in bytes: common mail readers cut mails beyond 100 kB.
const MAX_TEMPLATE_BYTES: u64 = 1024 * 1024;

/// The longest list of users in bytes. It is read for each mail.
const MAX_USERS_BYTES: u64 = 16 * 1024 * 1024;

/// The largest number of instructions of one rendering: nested loops end within a second.
const MAX_INSTRUCTIONS: u64 = 1_000_000;

/// The deepest nesting of a rendering. An `include`, `import` or `extends` counts for several.
const MAX_DEPTH: usize = 100;

/// The folder of templates and users. It is only read.
#[derive(Clone)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the bytes of the list of users.
    pub(super) fn users(&self, name: &str) -> io::Result<Vec<u8>> {
        Ok(self.read(name, MAX_USERS_BYTES)?.0)
    }

    /// Returns a file's bytes and its stamp, which shows changes.
    fn read(&self, name: &str, max_bytes: u64) -> io::Result<(Vec<u8>, Option<Stamp>)> {
        // Links are followed within the folder, because Kubernetes mounts its config maps with links, but never out of it.
        let folder = Dir::open_ambient_dir(&self.0, ambient_authority())?;
        if !folder.metadata(name)?.is_file() {
            return Err(io::Error::new(IoErrorKind::InvalidInput, "it is not a file"));
        }
        let file: File = folder.open(name)?;
        // Taken before the file is read, so that a change meanwhile is noticed.
        let stamp = stamp(&file.metadata()?);
        let mut bytes = Vec::new();
        file.take(max_bytes + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max_bytes {
            return Err(io::Error::new(
                IoErrorKind::FileTooLarge,
                format!("it has more than {max_bytes} bytes"),
            ));
        }
        Ok((bytes, stamp))
    }

    fn stamp(&self, name: &str) -> Option<Stamp> {
        let folder = Dir::open_ambient_dir(&self.0, ambient_authority()).ok()?;
        stamp(&folder.metadata(name).ok()?)
    }

    /// Returns the templates of the folder. They are read when they are first used, and again after they have changed.
    pub(super) fn templates(&self) -> Environment<'static> {
        let mut templates = Environment::new();
        let folder = self.clone();
        templates.set_loader(move |name| folder.load(name));
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.set_fuel(Some(MAX_INSTRUCTIONS));
        templates.set_recursion_limit(MAX_DEPTH);
        // Both show all values of a template, in a mail or in a failure's reason.
        templates.remove_global("debug");
        templates.set_debug(false);
        templates
    }

    /// Loads a template. Returns `None` if the file does not exist, or if the name does not belong to a file directly in the
    /// folder.
    fn load(&self, name: &str) -> Result<Option<TemplateSource>, Error> {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
            return Ok(None);
        }
        let unreadable = |error: io::Error| {
            let problem = format!("the template {name} cannot be read");
            Error::new(ErrorKind::InvalidOperation, problem).with_source(error)
        };
        let (bytes, stamp) = match self.read(name, MAX_TEMPLATE_BYTES) {
            Ok(found) => found,
            Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        let text = String::from_utf8(bytes)
            .map_err(|error| unreadable(io::Error::new(IoErrorKind::InvalidData, error)))?;
        let source = TemplateSource::new(text);
        let (folder, name) = (self.clone(), name.to_owned());
        Ok(Some(match stamp {
            Some(stamp) => source.with_uptodate_check(move || folder.stamp(&name) == Some(stamp)),
            None => source,
        }))
    }
}

/// The time of a file's last change, and its length.
type Stamp = (SystemTime, u64);

fn stamp(found: &Metadata) -> Option<Stamp> {
    Some((found.modified().ok()?.into_std(), found.len()))
}

#[cfg(test)]
#[path = "templates_tests.rs"]
mod tests;
