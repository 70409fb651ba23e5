//! Access to the endpoint's reports about jobs. Probes and metrics are open to every client that reaches the address.
//!
//! A job's id, its progress and the reasons of its failures are private, so beyond the loopback interface they need a token or
//! the operator's permission. A `Host` that a page of another origin could have chosen is always refused, because a DNS name
//! under its control may resolve to this address (DNS rebinding).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use drumline_runtime::{HttpAccess, SecretText};
use serde_json::json;
use subtle::ConstantTimeEq as _;

use super::jobs::json_body;

/// The rules of who may read about jobs.
#[derive(Clone)]
pub(crate) struct Door {
    access: Access,
    is_loopback: bool,
    /// The names, besides `localhost` and addresses, with which clients reach the endpoint. In lower case.
    hosts: Arc<[String]>,
}

#[derive(Clone, PartialEq, Eq)]
enum Access {
    Open,
    Token(Arc<SecretText>),
    Closed,
}

impl Door {
    /// Makes the door of an endpoint at `addr`. A configured token is required at every address; without one, only the loopback
    /// interface is open, unless the operator allows all.
    pub(crate) fn new(addr: SocketAddr, access: &HttpAccess) -> Self {
        let HttpAccess { token, allow_remote, hosts } = access;
        let access = match token {
            Some(token) => Access::Token(Arc::new(token.clone())),
            None if addr.ip().is_loopback() || *allow_remote => Access::Open,
            None => Access::Closed,
        };
        let is_loopback = addr.ip().is_loopback();
        Self { access, is_loopback, hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect() }
    }

    /// Returns true if no client may read about jobs.
    pub(crate) fn is_closed(&self) -> bool {
        self.access == Access::Closed
    }

    /// Returns true if a client that may read about jobs may also give orders: with a token, or on the loopback interface.
    pub(super) fn lets_change(&self) -> bool {
        match self.access {
            Access::Token(_) => true,
            Access::Open => self.is_loopback,
            Access::Closed => false,
        }
    }

    /// Returns true if a request may read about jobs.
    pub(super) fn lets_read(&self, request: &Request) -> bool {
        self.refusal(named_host(request), request.headers()).is_none()
    }

    /// Returns the reason why a request is refused.
    fn refusal(&self, host: Option<&str>, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
        match &self.access {
            Access::Closed => Some((
                StatusCode::FORBIDDEN,
                "neither jobs nor orders nor /gate are shown beyond the loopback interface: set DRUMLINE_HTTP_TOKEN, or \
                 DRUMLINE_ALLOW_REMOTE=on where every client that reaches this address may read them",
            )),
            Access::Token(token) if !has_token(headers, token) => Some((
                StatusCode::UNAUTHORIZED,
                "give the token of DRUMLINE_HTTP_TOKEN as `Authorization: Bearer TOKEN`",
            )),
            _ if !self.knows(host) => Some((
                StatusCode::FORBIDDEN,
                "the Host is neither localhost, nor an address, nor one of DRUMLINE_HTTP_HOSTS",
            )),
            _ => None,
        }
    }

    fn knows(&self, host: Option<&str>) -> bool {
        let Some(host) = host.and_then(|host| host.parse::<Authority>().ok()) else { return false };
        let name = host.host().to_ascii_lowercase();
        let address = name.trim_start_matches('[').trim_end_matches(']');
        name == "localhost" || address.parse::<IpAddr>().is_ok() || self.hosts.contains(&name)
    }
}

/// Returns the host in a request.
fn named_host(request: &Request) -> Option<&str> {
    // A request in absolute form contains its host there, which has precedence.
    let named = request.uri().authority().map(Authority::as_str);
    named.or_else(|| request.headers().get(header::HOST)?.to_str().ok())
}

fn has_token(headers: &HeaderMap, token: &SecretText) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, given)) = given.and_then(|given| given.split_once(' ')) else { return false };
    scheme.eq_ignore_ascii_case("bearer")
        && bool::from(given.trim().as_bytes().ct_eq(token.expose().as_bytes()))
}

/// Answers in place of a route that the request may not use.
pub(crate) async fn guard(State(door): State<Door>, request: Request, next: Next) -> Response {
    match door.refusal(named_host(&request), request.headers()) {
        None => next.run(request).await,
        Some((status, error)) => json_body(status, json!({ "error": error }).to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HERE: &str = "127.0.0.1:9464";
    const EVERYWHERE: &str = "0.0.0.0:9464";

    fn status(door: &Door, host: &str, authorization: &str) -> u16 {
        let mut headers = HeaderMap::new();
        if !authorization.is_empty() {
            headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
        }
        door.refusal(Some(host), &headers).map_or(200, |(status, _)| status.as_u16())
    }

    fn door(addr: &str, token: Option<&str>, allow_remote: bool) -> Door {
        let (token, hosts) = (token.map(|token| token.to_owned().into()), vec!["Worker.internal".to_owned()]);
        Door::new(addr.parse().unwrap(), &HttpAccess { token, allow_remote, hosts })
    }

    #[test]
    fn access_follows_address_token_and_permission() {
        let table = [
            (HERE, None, false, "", 200),
            ("[::1]:9464", None, false, "", 200),
            (EVERYWHERE, None, false, "", 403),
            ("[::]:9464", None, false, "", 403),
            ("10.0.0.7:9464", None, false, "", 403),
            (EVERYWHERE, None, true, "", 200),
            (EVERYWHERE, Some("s3cret"), false, "", 401),
            (EVERYWHERE, Some("s3cret"), false, "Bearer s3cret", 200),
            (EVERYWHERE, Some("s3cret"), false, "bearer  s3cret", 200),
            (EVERYWHERE, Some("s3cret"), false, "Bearer s3cre", 401),
            (EVERYWHERE, Some("s3cret"), false, "Basic s3cret", 401),
            (EVERYWHERE, Some("s3cret"), false, "s3cret", 401),
            // Neither the permission nor the address replaces a configured token.
            (EVERYWHERE, Some("s3cret"), true, "", 401),
            (HERE, Some("s3cret"), false, "", 401),
        ];
        for (addr, token, allow_remote, authorization, expected) in table {
            let door = door(addr, token, allow_remote);
            assert_eq!(status(&door, "localhost:9464", authorization), expected, "{addr} {authorization:?}");
            assert_eq!(door.is_closed(), expected == 403);
        }
    }

    #[test]
    fn access_to_jobs_depends_on_the_host_and_the_token() {
        let request = |authorization: Option<&str>| {
            let request = Request::builder().uri("/readyz?verbose").header(header::HOST, "localhost");
            let request = authorization
                .into_iter()
                .fold(request, |request, token| request.header("authorization", token));
            request.body(axum::body::Body::empty()).unwrap()
        };
        let table = [
            (door(HERE, None, false), None, true),
            (door(EVERYWHERE, None, false), None, false),
            (door(EVERYWHERE, Some("s3cret"), false), None, false),
            (door(EVERYWHERE, Some("s3cret"), false), Some("Bearer s3cret"), true),
        ];
        for (door, authorization, expected) in table {
            assert_eq!(door.lets_read(&request(authorization)), expected, "{authorization:?}");
        }
    }

    #[test]
    fn only_hosts_that_no_other_origin_can_choose_are_answered() {
        let door = door(HERE, None, false);
        for host in ["localhost", "LOCALHOST:9464", HERE, "[::1]:9464", "192.168.1.4", "worker.internal:9464"]
        {
            assert_eq!(status(&door, host, ""), 200, "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example:9464", "127.0.0.1.evil.example", "", "a b", "[::1"]
        {
            assert_eq!(status(&door, host, ""), 403, "{host}");
        }
        assert_eq!(door.refusal(None, &HeaderMap::new()).unwrap().0, StatusCode::FORBIDDEN);
    }
}
