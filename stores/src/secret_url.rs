//! URLs that may hold a secret.

use std::fmt;

use url::Url;

/// The text that replaces a secret.
const BLOT: &str = "***";

/// A URL whose userinfo, query and fragment may be secret.
///
/// Its text is `https://***@host:8080/path?***`. Only [`expose`](Self::expose) returns the whole URL, for the client that
/// connects to it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SecretUrl(Url);

impl SecretUrl {
    /// Returns the URL with its secrets.
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// Returns the text of a URL without its secrets. A text that is not a URL with `//` is hidden completely: it may be a
    /// password that was set in the wrong variable.
    ///
    /// ```
    /// use drumline_store::SecretUrl;
    /// assert_eq!(SecretUrl::shown("redis://:pw@cache:6379/0?prefix=a"), "redis://***@cache:6379/0?***");
    /// assert_eq!(SecretUrl::shown("pw@cache"), "***");
    /// ```
    pub fn shown(text: &str) -> String {
        if let Some(path) = text.strip_prefix("file:") {
            // As it is written, because a parsed URL has no relative path.
            return match path.split_once('?') {
                Some((path, _)) => format!("file:{path}?{BLOT}"),
                None => text.to_owned(),
            };
        }
        match Url::parse(text) {
            Ok(url) if url.has_authority() || is_socket(&url) => Self(url).to_string(),
            Ok(url) if url.scheme() == "memory" && url.path().is_empty() && url.query().is_none() => {
                "memory:".to_owned()
            }
            _ => BLOT.to_owned(),
        }
    }
}

impl From<Url> for SecretUrl {
    fn from(url: Url) -> Self {
        Self(url)
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = &self.0;
        if is_socket(url) {
            write!(f, "{}:", url.scheme())?;
        } else if url.has_authority() {
            write!(f, "{}://", url.scheme())?;
        } else {
            return write!(f, "{}:{BLOT}", url.scheme());
        }
        if !url.username().is_empty() || url.password().is_some() {
            write!(f, "{BLOT}@")?;
        }
        f.write_str(url.host_str().unwrap_or_default())?;
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(url.path())?;
        if url.query().is_some() {
            write!(f, "?{BLOT}")?;
        }
        if url.fragment().is_some() {
            write!(f, "#{BLOT}")?;
        }
        Ok(())
    }
}

/// Returns true for the path of a Unix socket, such as `unix:/run/app.sock`.
fn is_socket(url: &Url) -> bool {
    url.scheme() == "unix" && !url.has_authority() && url.path().starts_with('/')
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_scheme_host_port_and_path_are_shown() {
        let table = [
            ("http://127.0.0.1:8080/jobs", "http://127.0.0.1:8080/jobs"),
            ("http://user:s3cret@app/jobs", "http://***@app/jobs"),
            ("http://s3cret@app/jobs?a=s3cret#s3cret", "http://***@app/jobs?***#***"),
            ("redis://:s3cret@[::1]:6380/3?prefix=a", "redis://***@[::1]:6380/3?***"),
            ("rediss://localhost", "rediss://localhost"),
            ("postgres:///jobs?host=/run&password=s3cret", "postgres:///jobs?***"),
            ("unix:/run/app.sock:/jobs?key=s3cret", "unix:/run/app.sock:/jobs?***"),
            ("memory:", "memory:"),
            ("memory:s3cret", "***"),
            ("localhost:s3cret", "***"),
            ("s3cret", "***"),
            ("http://user:s3cret@", "***"),
            ("http://user:s3cret@host:port/", "***"),
            ("", "***"),
        ];
        for (text, shown) in table {
            assert_eq!(SecretUrl::shown(text), shown, "{text}");
            if let Ok(url) = Url::parse(text).map(SecretUrl::from) {
                assert!(!format!("{url} {url:?}").contains("s3cret"), "{url}");
            }
        }
    }
}
