//! Prints one line when a phase starts, and one with its duration when it ends.

use std::io::{self, Write};
use std::time::Instant;

/// Runs one phase: prints its name, and its duration at the end, with any result.
pub fn phase<T>(name: &str, work: impl FnOnce() -> T) -> T {
    println!("==> {name}");
    let started = Instant::now();
    let result = work();
    println!("    {name}: {:.1} s", started.elapsed().as_secs_f64());
    result
}

/// Prints one line from a destructor, which must continue if the terminal is gone; `println!` would panic there.
pub fn note(text: &str) {
    writeln!(io::stdout(), "    {text}").ok();
}
