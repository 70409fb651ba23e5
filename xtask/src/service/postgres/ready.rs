//! Checks that PostgreSQL works: it must respond to a query.
//!
//! A few messages of its [protocol](https://www.postgresql.org/docs/current/protocol-message-formats.html) need no client
//! library and no program, which a server in Docker would not provide.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// The time limit of a response: a running server responds in well under a second.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Version 3.0 of the protocol, which all current servers support.
const PROTOCOL: u32 = 3 << 16;
/// The largest accepted message: the server's messages here are small, so a longer one comes from another program.
const LONGEST_MESSAGE: u32 = 64 * 1024;

const AUTHENTICATION: u8 = b'R';
const DATA_ROW: u8 = b'D';
const ERROR: u8 = b'E';
const READY: u8 = b'Z';

pub(super) fn probe(port: u16, user: &str, database: &str) -> Result<()> {
    let address = (Ipv4Addr::LOCALHOST, port).into();
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_LIMIT).context("cannot connect")?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    stream.write_all(&startup(user, database))?;
    until_ready(&mut stream).context("cannot log in")?;
    stream.write_all(&message(Some(b'Q'), b"SELECT 1\0"))?;
    let rows = until_ready(&mut stream).context("SELECT 1 got no answer")?;
    ensure!(rows == 1, "SELECT 1 was answered with {rows} rows");
    // A goodbye, so that the server's log contains no broken connection.
    stream.write_all(&message(Some(b'X'), b""))?;
    Ok(())
}

fn startup(user: &str, database: &str) -> Vec<u8> {
    let mut body = PROTOCOL.to_be_bytes().to_vec();
    body.extend(format!("user\0{user}\0database\0{database}\0\0").bytes());
    message(None, &body)
}

/// Returns a message: its kind (which only the first message lacks), its length including the four bytes of the length, and its
/// body.
fn message(kind: Option<u8>, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("no message of a probe has gigabytes");
    kind.into_iter().chain(length.to_be_bytes()).chain(body.iter().copied()).collect()
}

/// Reads until the server waits for the next query, and counts the rows.
fn until_ready(stream: &mut impl Read) -> Result<usize> {
    let mut rows = 0;
    loop {
        let (kind, body) = read(stream)?;
        match kind {
            READY => return Ok(rows),
            DATA_ROW => rows += 1,
            ERROR => bail!("{}", error_text(&body)),
            AUTHENTICATION => ensure!(body == [0; 4], "it asks for a password"),
            _ => {} // Its settings, the key to cancel with, the columns' names.
        }
    }
}

fn read(stream: &mut impl Read) -> Result<(u8, Vec<u8>)> {
    let mut kind = [0];
    let mut length = [0; 4];
    stream.read_exact(&mut kind)?;
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    ensure!((4..LONGEST_MESSAGE).contains(&length), "that is no PostgreSQL");
    let mut body = vec![0; length as usize - 4];
    stream.read_exact(&mut body)?;
    Ok((kind[0], body))
}

/// Returns the text for people (`M`) from an error's fields.
fn error_text(body: &[u8]) -> String {
    let text = body.split(|byte| *byte == 0).find_map(|field| field.strip_prefix(b"M"));
    String::from_utf8_lossy(text.unwrap_or(body)).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_message_s_length_counts_itself() {
        assert_eq!(message(Some(b'Q'), b"SELECT 1\0"), b"Q\0\0\0\x0dSELECT 1\0");
        let startup = startup("me", "mine");
        assert_eq!(startup[..8], [0, 0, 0, 31, 0, 3, 0, 0]);
        assert_eq!(startup[8..], *b"user\0me\0database\0mine\0\0");
        assert_eq!(startup.len(), 31);
    }

    #[test]
    fn rows_are_counted_up_to_the_next_query() {
        let answer = [
            message(Some(AUTHENTICATION), &[0; 4]),
            message(Some(b'S'), b"TimeZone\0UTC\0"),
            message(Some(DATA_ROW), b"\0\x01\0\0\0\x011"),
            message(Some(READY), b"I"),
            message(Some(DATA_ROW), b""),
        ];
        assert_eq!(until_ready(&mut answer.concat().as_slice()).unwrap(), 1);
    }

    #[test]
    fn what_the_server_says_is_passed_on() {
        let error = message(Some(ERROR), b"SFATAL\0C57P03\0Mthe database system is starting up\0\0");
        let text = until_ready(&mut error.as_slice()).unwrap_err().to_string();
        assert_eq!(text, "the database system is starting up");
        let password = message(Some(AUTHENTICATION), &[0, 0, 0, 3]);
        assert!(until_ready(&mut password.as_slice()).is_err());
        assert!(until_ready(&mut b"HTTP/1.1 400 Bad Request".as_slice()).is_err());
        assert!(until_ready(&mut b"".as_slice()).is_err());
    }
}
