//! `drumline health`: asks a consumer on this machine how it is, for images that have no shell and no `curl`.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};
use drumline_host::Settings;

use super::exit::Failed;

/// How long each step may take. Container runtimes give a check five seconds unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The answers are a line each.
const MAX_ANSWER_BYTES: u64 = 16 * 1024;

pub(super) fn command() -> Command {
    Command::new("health")
        .about("Asks a consumer on this machine whether it is alive, for a container's health check")
        .after_help(
            "It asks where DRUMLINE_HTTP_ADDR says, as `run` serves it.\n\
             In an ECS task definition: \"healthCheck\": {\"command\": [\"CMD\", \"/usr/local/bin/drumline\", \"health\"]}\n\
             Exit status: 0 where it is, 69 where not, 64 where it serves no HTTP endpoint.",
        )
        .arg(Arg::new("ready").long("ready").action(ArgAction::SetTrue).help(
            "Ask whether it is ready instead: every queue can be reached, and it does not drain. For load balancers and \
             roll-outs, not for a check that restarts it: a restart mends no queue",
        ))
        .arg(Arg::new("http_addr").long("http-addr").value_name("ADDRESS").help(
            "Where the consumer serves, where not at what DRUMLINE_HTTP_ADDR says [default: 127.0.0.1:9464]",
        ))
}

pub(super) fn health(args: &ArgMatches) -> Result<ExitCode, Failed> {
    let addr = match args.get_one::<String>("http_addr") {
        Some(addr) => {
            addr.parse().map_err(|error| Failed::usage(format!("--http-addr {addr:?}: {error}")))?
        }
        // The queues may have been given to `run` on its command line, so none need be known here.
        None => Settings::read_for_function(|name| std::env::var(name).ok())
            .map_err(|problems| Failed::usage(problems.to_string()))?
            .http_addr
            .ok_or_else(|| Failed::usage("DRUMLINE_HTTP_ADDR is off, so there is nothing to ask"))?,
    };
    let path = if args.get_flag("ready") { "/readyz" } else { "/livez" };
    let answer = ask(reachable(addr), path)
        .map_err(|error| Failed::unavailable(format!("http://{addr}{path} does not answer: {error}")))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        writeln!(std::io::stdout().lock(), "{}", body.trim())?;
        Ok(ExitCode::SUCCESS)
    } else {
        Err(Failed::unavailable(format!("http://{addr}{path}: {} ({status})", body.trim())))
    }
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

/// A request without a runtime or a client: the check runs every few seconds, for as long as the container lives.
fn ask(addr: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&addr, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER_BYTES).read_to_string(&mut answer)?;
    Ok(answer)
}
