//! Requests to the HTTP endpoint of a consumer on this machine.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use drumline_runtime::SecretText;

/// The timeout of each step. By default, container runtimes give a health check five seconds.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The largest response: metrics of a thousand job types have a few megabytes.
const MAX_ANSWER_BYTES: u64 = 16 * 1024 * 1024;

/// The response.
pub(crate) struct Answer {
    pub(crate) status_line: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn status(&self) -> Option<u16> {
        self.status_line.split(' ').nth(1)?.parse().ok()
    }

    pub(crate) fn is_ok(&self) -> bool {
        self.status() == Some(200)
    }
}

/// Sends a request without an async runtime or an HTTP client: a health check runs every few seconds as long as its container
/// lives.
///
/// `token` is the value of `DRUMLINE_HTTP_TOKEN`; probes and metrics need none.
pub(crate) fn get(addr: SocketAddr, path: &str, token: Option<&SecretText>) -> std::io::Result<Answer> {
    ask(addr, "GET", path, token, None)
}

/// Sends a request with a JSON body.
pub(crate) fn post(
    addr: SocketAddr,
    path: &str,
    token: Option<&SecretText>,
    json: &str,
) -> std::io::Result<Answer> {
    ask(addr, "POST", path, token, Some(json))
}

fn ask(
    addr: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&SecretText>,
    json: Option<&str>,
) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&reachable(addr), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // HTTP 1.0 has no chunks, and closes the connection at the end.
    let authorization =
        token.map(|token| format!("Authorization: Bearer {}\r\n", token.expose())).unwrap_or_default();
    let body = json.unwrap_or_default();
    let content = match json {
        Some(_) => format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()),
        None => String::new(),
    };
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: {addr}\r\n{authorization}{content}\r\n{body}")?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER_BYTES).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status_line = head.lines().next().unwrap_or_default().to_owned();
    Ok(Answer { status_line, body: body.to_owned() })
}

/// Replaces an unspecified address by loopback: an endpoint that listens on all addresses also listens there.
fn reachable(mut addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => addr.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => addr.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    addr
}
