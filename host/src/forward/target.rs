//! The address of the application: its connection, its path, and its display.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use drumline_store::SecretUrl;
use http::header::AUTHORIZATION;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use percent_encoding::percent_decode_str;
use url::Url;

use super::connection::{Connector, HttpClient, client};
use super::error_text::error_text;
use crate::target::Check;

/// The application's address.
pub(super) struct Target {
    pub(super) uri: Uri,
    /// The address without userinfo and query, for logs and reasons.
    pub(super) shown: String,
    pub(super) connector: Connector,
    pub(super) client: HttpClient,
    /// Headers of every request: the userinfo as credentials, and those of the settings.
    pub(super) headers: HeaderMap,
}

impl Target {
    /// Reads an address such as `https://user:password@app:8443/jobs?key=1`, or `unix:/run/app.sock:/jobs`.
    pub(super) fn new(target: &SecretUrl, headers: &HeaderMap) -> Result<Self, String> {
        let (shown, target) = (target.to_string(), target.expose());
        let query = target.query().map(|query| format!("?{query}")).unwrap_or_default();
        let (connector, authority, path) = match target.scheme() {
            "unix" => {
                let (socket, path) =
                    unix_parts(target).ok_or("a unix address looks like unix:/run/app.sock:/path")?;
                (Connector::Unix(Path::new(socket).into()), "localhost".to_owned(), path)
            }
            scheme => {
                let port = target.port().map(|port| format!(":{port}")).unwrap_or_default();
                let authority = format!("{}{port}", target.host_str().unwrap_or_default());
                let connector = if scheme == "https" { Connector::tls()? } else { Connector::tcp() };
                (connector, authority, target.path())
            }
        };
        let path = format!("{path}{query}");
        let scheme = if target.scheme() == "https" { Scheme::HTTPS } else { Scheme::HTTP };
        let authority: Authority =
            authority.parse().map_err(|error| format!("its host is no authority: {error}"))?;
        let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build();
        let uri = uri.map_err(|error| format!("it is no address of HTTP: {error}"))?;
        let mut all = HeaderMap::new();
        all.extend(credentials(target).map(|value| (AUTHORIZATION, value)));
        for (name, value) in headers {
            all.insert(name, value.clone());
        }
        let client = client(connector.clone());
        Ok(Self { uri, shown, connector, client, headers: all })
    }

    /// Returns the address of another path of the application, with its query if it has one.
    pub(super) fn at(&self, path: &str) -> Option<Uri> {
        let mut parts = self.uri.clone().into_parts();
        parts.path_and_query = Some(path.parse::<PathAndQuery>().ok()?);
        Uri::from_parts(parts).ok()
    }

    /// Returns the check that opens a connection.
    pub(super) fn connection_check(&self) -> Check {
        let (connector, uri) = (self.connector.clone(), self.uri.clone());
        Arc::new(move || {
            let (connector, uri) = (connector.clone(), uri.clone());
            Box::pin(async move { connector.check(&uri).await })
        })
    }

    /// Returns the check with a `GET` of this path: 2xx is healthy.
    pub(super) fn path_check(&self, path: &str) -> Result<Check, String> {
        let uri = self.at(path).ok_or_else(|| format!("{path:?} is no path"))?;
        let (client, headers) = (self.client.clone(), self.headers.clone());
        Ok(Arc::new(move || {
            let (client, uri, headers) = (client.clone(), uri.clone(), headers.clone());
            Box::pin(async move {
                let mut request = Request::new(Full::<Bytes>::default());
                (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) =
                    (Method::GET, uri, headers);
                let status = client.request(request).await.map_err(|error| error_text(&error))?.status();
                if status.is_success() { Ok(()) } else { Err(format!("its health check answers {status}")) }
            })
        }))
    }
}

/// Returns the socket and the path of `unix:/run/app.sock:/path`; without the second colon the path is `/`.
fn unix_parts(target: &Url) -> Option<(&str, &str)> {
    let path = target.path();
    if !path.starts_with('/') {
        return None;
    }
    Some(path.split_once(":/").map_or((path, "/"), |(socket, _)| (socket, &path[socket.len() + 1..])))
}

/// Returns the userinfo as the value of `Authorization`.
fn credentials(target: &Url) -> Option<HeaderValue> {
    if target.username().is_empty() && target.password().is_none() {
        return None;
    }
    let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let pair =
        [decoded(target.username()), b":".to_vec(), decoded(target.password().unwrap_or_default())].concat();
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn target(url: &str) -> Target {
        Target::new(&Url::parse(url).unwrap().into(), &HeaderMap::new()).unwrap()
    }

    #[tokio::test]
    async fn path_and_query_are_kept_and_userinfo_becomes_credentials() {
        let target = target("http://Aladdin:open%20sesame@app:8080/a/b?key=1#x");
        assert_eq!(target.uri, "http://app:8080/a/b?key=1");
        assert_eq!(target.shown, "http://***@app:8080/a/b?***#***");
        assert_eq!(target.headers[AUTHORIZATION], "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(target.at("/health?deep").unwrap(), "http://app:8080/health?deep");
        assert!(target.at("no path").is_none());
    }

    #[tokio::test]
    async fn a_unix_address_names_a_socket_and_a_path() {
        for (url, socket, uri) in [
            ("unix:/run/app.sock:/jobs?a=1", "/run/app.sock", "http://localhost/jobs?a=1"),
            ("unix:/run/app.sock", "/run/app.sock", "http://localhost/"),
        ] {
            let target = target(url);
            assert_eq!(target.uri, uri);
            assert!(
                matches!(&target.connector, Connector::Unix(path) if **path == *Path::new(socket)),
                "{url}"
            );
        }
        let relative = Url::parse("unix:run/app.sock").unwrap();
        assert!(Target::new(&relative.into(), &HeaderMap::new()).is_err());
    }

    #[tokio::test]
    async fn headers_of_the_settings_win() {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer x"));
        let target = Target::new(&Url::parse("http://user:password@app/").unwrap().into(), &headers).unwrap();
        assert_eq!(target.headers[AUTHORIZATION], "Bearer x");
        assert!(!format!("{:?}", target.headers).contains("cGFzc3"));
    }
}
