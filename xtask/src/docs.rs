//! `cargo xtask docs`: checks the documentation, and builds the book.

mod blocks;
mod book;
mod links;
mod page;
mod words;

use std::process::ExitCode;

use anyhow::Result;

use xtask::progress::phase;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write the current counts of words as the budget
    #[arg(long)]
    write_budget: bool,
    /// Only check, without building the book
    #[arg(long)]
    no_book: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let pages = page::tracked(&["*.md", "*.rs"])?;
    if options.write_budget {
        words::write_budget(&pages)?;
        return Ok(ExitCode::SUCCESS);
    }
    let broken = links::broken(&pages);
    let over = words::over_budget(&pages)?;
    let invalid = blocks::invalid(&pages);
    for problem in broken.iter().chain(&over).chain(&invalid) {
        println!("{problem}");
    }
    println!(
        "{} broken links, {} counts that differ from the budget, {} invalid JSON blocks",
        broken.len(),
        over.len(),
        invalid.len()
    );
    if !options.no_book {
        phase("the book", book::build)?;
    }
    Ok(if broken.is_empty() && over.is_empty() && invalid.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
