//! A collector of OpenTelemetry that takes everything and keeps nothing.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

/// Serves on a free port of the loopback interface until the process ends.
pub(crate) fn start() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    thread::Builder::new().name("collector".to_owned()).spawn(move || {
        for stream in listener.incoming().flatten() {
            // A worker that ends breaks its connection.
            thread::spawn(move || drop(answer_all(&stream)));
        }
    })?;
    Ok(addr)
}

/// Answers the requests of a connection, one after the other.
fn answer_all(stream: &TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut bytes = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                bytes = value.trim().parse().unwrap_or_default();
            }
        }
        io::copy(&mut reader.by_ref().take(bytes), &mut io::sink())?;
        (&*stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
    }
}
