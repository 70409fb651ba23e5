//! A minimal Redis client, for records written by an earlier version of a store.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use url::Url;

/// Runs one command on the Redis at `url`.
///
/// # Panics
/// If the server answers with an error.
pub fn redis_command(url: &str, words: &[&str]) {
    let url = Url::parse(url).unwrap();
    let host = url.host_str().expect("the URL names a host");
    let stream = TcpStream::connect((host, url.port().unwrap_or(6379))).unwrap();
    // See the protocol's specification: https://redis.io/docs/latest/develop/reference/protocol-spec/
    let mut command = Vec::new();
    write!(command, "*{}\r\n", words.len()).unwrap();
    for word in words {
        write!(command, "${}\r\n{word}\r\n", word.len()).unwrap();
    }
    (&stream).write_all(&command).unwrap();
    let mut reply = String::new();
    BufReader::new(stream).read_line(&mut reply).unwrap();
    assert!(!reply.starts_with('-') && !reply.is_empty(), "{words:?}: {reply}");
}
