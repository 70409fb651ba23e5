//! A worker that loses nearly all its file descriptors while a test wants it to, and a job that needs some.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::thread;

use drumline::{Context, Failure, Job, Router};
use serde::Deserialize;

/// The address of the test. The test writes a byte to take the descriptors, reads one when they are taken, and closes the
/// connection to return them.
const HOARDS_FOR: &str = "HOARDS_FOR";

/// The number of descriptors left to the worker, for SQS and its HTTP endpoint.
const LEFT: usize = 8;

/// The number of descriptors that one job needs: more than are left.
const NEEDED: usize = 12;

#[derive(Deserialize)]
struct Need {}

impl Job for Need {
    const TYPE: &'static str = "need";
}

async fn need(_: Context, _: Need) -> Result<(), Failure> {
    let _files = (0..NEEDED).map(|_| File::open("/dev/null")).collect::<Result<Vec<_>, _>>()?;
    Ok(())
}

fn hoard(addr: &str) -> std::io::Result<()> {
    let mut test = TcpStream::connect(addr)?;
    test.read_exact(&mut [0])?;
    let mut files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    files.truncate(files.len() - LEFT);
    test.write_all(b"!")?;
    test.read_to_end(&mut Vec::new())?;
    Ok(())
}

fn main() -> ExitCode {
    if let Some(addr) = drumline_consumer::variable(HOARDS_FOR) {
        thread::spawn(move || hoard(&addr));
    }
    drumline_cli::App::new(|| Router::new().handle(need)).main()
}
