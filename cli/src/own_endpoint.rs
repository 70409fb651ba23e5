//! Asking a consumer on this machine at its own HTTP endpoint.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use drumline_runtime::SecretText;

/// How long each step may take. Container runtimes give a health check five seconds unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Metrics of a thousand job types are a few megabytes.
const MAX_ANSWER_BYTES: u64 = 16 * 1024 * 1024;

/// What was answered.
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

/// A request without a runtime or a client: a health check runs every few seconds, for as long as its container lives.
///
/// With a token, that of `DRUMLINE_HTTP_TOKEN`: probes and metrics need none.
pub(crate) fn get(addr: SocketAddr, path: &str, token: Option<&SecretText>) -> std::io::Result<Answer> {
    ask(addr, "GET", path, token, None)
}

/// The same with a body of JSON.
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
    // 1.0 has no chunks, and closes the connection at the end.
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

/// One that listens everywhere listens here too.
fn reachable(mut addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => addr.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => addr.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    addr
}
