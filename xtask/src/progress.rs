//! One line when a phase starts and one when it ends, with its duration.

use std::io::{self, Write};
use std::time::Instant;

/// Runs one phase, announced by name, and says how long it took, however it ended.
pub fn phase<T>(name: &str, work: impl FnOnce() -> T) -> T {
    println!("==> {name}");
    let started = Instant::now();
    let result = work();
    println!("    {name}: {:.1} s", started.elapsed().as_secs_f64());
    result
}

/// One line from a destructor, which must go on when the terminal is gone; `println!` would panic there.
pub fn note(text: &str) {
    writeln!(io::stdout(), "    {text}").ok();
}
