//! `drumline schema check`: checks if a changed contract breaks running workers or waiting messages.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use drumline_consumer::ExitError;
use drumline_contract::compatibility::{Finding, Severity, compare};

use super::document::{is_stdin, read};
use crate::format::{count, note, one_line};
use crate::output::{Out, Output, print};

/// Checks if a changed contract breaks running workers or waiting messages
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
A deploy mixes old and new contracts in two ways. Until the deploy ends, running workers receive messages of new producers. New workers \
receive messages of old producers, from the queue, and for up to 14 days from its DLQ.

Each finding names the affected side, the type, the version, the place in the payload as a JSON pointer (* for each item), the problem, \
and a way to make the change without the problem. A part that cannot be compared, such as a version without a schema, counts as breaking \
unless --allow-unknown is given.

Examples:
  {program} schema check contract.json <({program} schema)
  git show main:contract.json | {program} schema check - contract.json
  {program} schema check old.json new.json --output json | jq -r 'select(.severity == \"breaking\") | .type'

Exit status: 0 compatible, 1 something breaks or cannot be compared, 64 a document is not a contract or cannot be read.")]
pub(crate) struct CheckArgs {
    /// The contract of the running version, which wrote the waiting messages; - for standard input
    old: PathBuf,
    /// The contract of the version to deploy; - for standard input
    new: PathBuf,
    /// Exit with 0 if nothing breaks, even if some parts cannot be compared
    #[arg(long)]
    allow_unknown: bool,
    /// Lines for people, or one JSON object per line
    ///
    /// The object has the fields severity (breaking, unknown, note), affects (waiting-messages, running-workers, null), type,
    /// version, pointer, problem and fix.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(super) fn check(args: &CheckArgs) -> Result<ExitCode, ExitError> {
    if is_stdin(&args.old) && is_stdin(&args.new) {
        return Err(ExitError::usage("only one of the two contracts can be on standard input"));
    }
    let (old, new) = (read(&args.old)?, read(&args.new)?);
    let findings = compare(&old, &new);
    print(|out| match args.output {
        Output::Table => write_text(out, &findings),
        Output::Json => findings.iter().try_for_each(|finding| out.json_line(finding)),
    })?;
    let number = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (breaking, unknown) = (number(Severity::Breaking), number(Severity::Unknown));
    note(&format!("{} ({})", verdict(breaking, unknown), count(new.types().len(), "job type")));
    let is_compatible = breaking == 0 && (unknown == 0 || args.allow_unknown);
    Ok(if is_compatible { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns a sentence about the number of breaking changes and of those that cannot be compared.
fn verdict(breaking: usize, unknown: usize) -> String {
    match (breaking, unknown) {
        (0, 0) => "compatible".to_owned(),
        (0, unknown) => format!("nothing is known to break, but {unknown} cannot be compared"),
        (1, unknown) => format!("1 change that breaks, {unknown} that cannot be compared"),
        (breaking, unknown) => format!("{breaking} changes that break, {unknown} that cannot be compared"),
    }
}

/// Writes each finding on a line, and its remedy on the next.
fn write_text(out: &mut Out, findings: &[Finding]) -> io::Result<()> {
    for finding in findings {
        writeln!(out, "{}", one_line(&finding.to_string()))?;
        writeln!(out, "  fix: {}", one_line(&finding.fix))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::verdict;

    #[test]
    fn one_change_breaks_and_several_break() {
        for (breaking, unknown, expected) in [
            (0, 0, "compatible"),
            (0, 2, "nothing is known to break, but 2 cannot be compared"),
            (1, 0, "1 change that breaks, 0 that cannot be compared"),
            (2, 1, "2 changes that break, 1 that cannot be compared"),
        ] {
            assert_eq!(verdict(breaking, unknown), expected);
        }
    }
}
