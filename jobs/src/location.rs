//! The source or target of a job's bytes: a file or an S3 object, named by a URL.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use url::Url;

/// A parsed `file://` or `s3://` URL.
///
/// A file's URL is percent-encoded like all URLs. An S3 key is used as it is written after `s3://BUCKET/`, like in AWS's own
/// tools, because a key may contain any character.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Location {
    /// An absolute path without `..`.
    File(PathBuf),
    /// An object in a bucket.
    Object { bucket: String, key: String },
}

/// The reason why a text is not a location.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoLocation {
    #[error("{0} is neither a file:// nor an s3:// URL")]
    Scheme(String),
    #[error("{0} is not s3://BUCKET/KEY")]
    Object(String),
    #[error("{0} is not file:///ABSOLUTE/PATH; in a path, write ? as %3F and # as %23")]
    File(String),
    #[error("{0} climbs out by `..`")]
    Parent(String),
}

impl TryFrom<String> for Location {
    type Error = NoLocation;

    fn try_from(text: String) -> Result<Self, NoLocation> {
        if let Some(rest) = text.strip_prefix("s3://") {
            return match rest.split_once('/') {
                Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => {
                    Ok(Self::Object { bucket: bucket.to_owned(), key: key.to_owned() })
                }
                _ => Err(NoLocation::Object(text)),
            };
        }
        if !text.starts_with("file://") {
            return Err(NoLocation::Scheme(text));
        }
        match file_path(&text) {
            Some(path) if climbs(&path) => Err(NoLocation::Parent(text)),
            Some(path) => Ok(Self::File(path)),
            None => Err(NoLocation::File(text)),
        }
    }
}

impl Location {
    /// Returns a short form for other people: an object's URL, but only the name of a file, because its folders are private.
    pub(crate) fn short(&self) -> String {
        match self {
            Self::File(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Self::Object { .. } => self.to_string(),
        }
    }
}

/// A target location, and the URL that named it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) location: Location,
    pub(crate) url: String,
}

impl TryFrom<String> for Target {
    type Error = NoLocation;

    fn try_from(url: String) -> Result<Self, NoLocation> {
        Ok(Self { location: url.clone().try_into()?, url })
    }
}

fn file_path(text: &str) -> Option<PathBuf> {
    let url = Url::parse(text).ok()?;
    let plain = url.query().is_none() && url.fragment().is_none();
    url.to_file_path().ok().filter(|path| plain && path.file_name().is_some())
}

/// Returns true if the path leaves its folder. The URL's own `..` are already resolved; an encoded one, `%2F..%2F`, is not.
fn climbs(path: &Path) -> bool {
    path.components().any(|part| part == Component::ParentDir)
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Object { bucket, key } => write!(f, "s3://{bucket}/{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str) -> Result<Location, NoLocation> {
        Location::try_from(text.to_owned())
    }

    #[test]
    fn urls_are_taken_apart() {
        let object = |bucket: &str, key: &str| Location::Object { bucket: bucket.into(), key: key.into() };
        assert_eq!(read("s3://photos/2026/a b#1?.jpg").unwrap(), object("photos", "2026/a b#1?.jpg"));
        assert_eq!(read("file:///data/a%20b.png").unwrap(), Location::File("/data/a b.png".into()));
        assert_eq!(read("file:///data/x/../b.png").unwrap(), Location::File("/data/b.png".into()));
    }

    #[test]
    fn a_files_folders_are_not_shown() {
        assert_eq!(read("file:///data/a%20b.png").unwrap().short(), "a b.png");
        assert_eq!(read("s3://photos/2026/a.jpg").unwrap().short(), "s3://photos/2026/a.jpg");
    }

    #[test]
    fn a_text_that_is_no_location_has_an_explaining_error() {
        for text in ["", "a.png", "/data/a.png", "https://example.com/a.png", "FILE:a.png"] {
            assert!(matches!(read(text), Err(NoLocation::Scheme(_))), "{text}");
        }
        for text in ["s3://photos", "s3://photos/", "s3:///a.png"] {
            assert!(matches!(read(text), Err(NoLocation::Object(_))), "{text}");
        }
        for text in ["file:///", "file://host/a.png", "file:///a.png?x", "file:///a.png#x"] {
            assert!(matches!(read(text), Err(NoLocation::File(_))), "{text}");
        }
        for text in ["file:///data/a%2F..%2Fb", "file:///data/..%2F..%2Fetc/passwd"] {
            assert!(matches!(read(text), Err(NoLocation::Parent(_))), "{text}");
        }
    }
}
