//! The result of a replay: a table for people, a line of JSON for programs.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use drumline_consumer::ExitError;
use drumline_runtime::aws::queue_name;
use drumline_runtime::program;
use serde::Serialize;

use super::count::Counted;
use super::decide::{Decider, Tally};
use super::run::{End, Outcome};
use crate::format::{count, many_lines, note};
use crate::output::{Output, print};

/// A result as one line of JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    name: &'a str,
    kind: &'a str,
    state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    matched: u64,
    sent: u64,
    left: BTreeMap<&'static str, u64>,
    returned: u64,
    per_queue: BTreeMap<&'a str, u64>,
    /// The changes of the first letters, in a dry run.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    changes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resume: Option<String>,
}

/// Reports a dry run: the number of letters that match, and what the replay would do with them.
pub(super) fn dry_run(
    decider: &Decider,
    counted: &Counted,
    expect: Option<u64>,
    output: Output,
) -> Result<ExitCode, ExitError> {
    let tally = &decider.tally;
    eprint_left(tally);
    if tally.matched == 0 {
        eprint_no_match(decider, counted.seen);
    }
    let summary = Summary {
        name: decider.action,
        kind: "replay",
        state: "dry_run",
        why: None,
        matched: tally.matched,
        sent: 0,
        left: left(tally),
        returned: 0,
        per_queue: counted.per_queue.iter().map(|(queue, letters)| (&**queue, *letters)).collect(),
        changes: decider.changes.preview(),
        journal: None,
        resume: None,
    };
    print(|out| match output {
        Output::Json => out.json_line(&summary),
        Output::Table => {
            for letter in summary.changes {
                writeln!(out, "{}\n", many_lines(letter))?;
            }
            write!(out, "matched {}: to send {}", tally.matched, counted.letters.len())?;
            summary.left.iter().try_for_each(|(why, letters)| write!(out, ", {why} {letters}"))?;
            writeln!(out)?;
            counted.per_queue.iter().try_for_each(|(queue, letters)| writeln!(out, "{queue}  {letters}"))
        }
    })?;
    let is_expected = expect.is_none_or(|expected| expected == tally.matched);
    Ok(ExitCode::from(u8::from(!is_expected)))
}

/// Reports the end of a replay. `to_resume` contains the arguments that resume it.
pub(super) fn report(outcome: Outcome, output: Output, to_resume: &str) -> Result<ExitCode, ExitError> {
    let Outcome { end, journal, decider, undeletable, returned, seen } = outcome;
    let tally = &decider.tally;
    let state = journal.log.state();
    eprint_left(tally);
    if state.doubtful() > 0 {
        note(&format!(
            "{} may have been sent twice, since the answer to a batch was lost",
            count(state.doubtful(), "letter")
        ));
    }
    if undeletable > 0 {
        note(&format!(
            "{} could not be deleted after the send; a resumed replay deletes them",
            count(undeletable, "letter")
        ));
    }
    if end == End::Done && tally.matched == 0 && state.sent() == 0 && state.returned() == 0 {
        eprint_no_match(&decider, seen);
    }
    let before = state.returned() - returned;
    if end == End::Done && returned > 0 {
        note(&format!("replayed letters that are dead again: {returned}"));
    }
    if end == End::Done && before > 0 {
        note(&format!("{} had died again before this command", count(before, "replayed letter")));
    }
    let has_rest = end != End::Done || tally.all_left() > 0 || undeletable > 0;
    let (name, why, status) = match &end {
        End::Done => ("done", None, u8::from(has_rest || returned > 0)),
        End::Interrupted(status) => ("interrupted", None, *status),
        End::Stopped(why) => ("stopped", Some(why.as_str()), 1),
        End::Aborted(why) => ("aborted", Some(why.as_str()), 1),
    };
    if let Some(why) = why {
        note(&format!("{name}: {why}"));
    }
    let resume = format!("{} {to_resume}", program());
    let resume = has_rest.then_some(resume);
    let summary = Summary {
        name: &state.header().name,
        kind: "replay",
        state: name,
        why,
        matched: tally.matched,
        sent: state.sent() as u64,
        left: left(tally),
        returned: state.returned() as u64,
        per_queue: state.per_queue().iter().map(|(url, letters)| (queue_name(url), *letters)).collect(),
        changes: &[],
        journal: Some(journal.path.display().to_string()),
        resume,
    };
    print(|out| match output {
        Output::Json => out.json_line(&summary),
        Output::Table => table(out, &summary),
    })?;
    Ok(ExitCode::from(status))
}

fn table(out: &mut impl Write, summary: &Summary) -> std::io::Result<()> {
    writeln!(out, "{}  {}", summary.name, summary.state)?;
    writeln!(out, "sent      {}", summary.sent)?;
    for (queue, letters) in &summary.per_queue {
        writeln!(out, "  to {queue}  {letters}")?;
    }
    for (why, letters) in &summary.left {
        writeln!(out, "left      {letters}  {why}")?;
    }
    if summary.returned > 0 {
        writeln!(out, "returned  {}", summary.returned)?;
    }
    if let Some(resume) = &summary.resume {
        writeln!(out, "continue  {resume}")?;
    }
    Ok(())
}

fn left(tally: &Tally) -> BTreeMap<&'static str, u64> {
    tally.left.iter().map(|(why, letters)| (why.name(), *letters)).collect()
}

/// Reports that no letter matches, and how many were read.
pub(super) fn eprint_no_match(decider: &Decider, seen: usize) {
    let place = decider.export.as_ref().map(|path| path.display().to_string());
    let place = place.unwrap_or_else(|| decider.queue.name.clone());
    note(&format!("no letter matches: looked at {} in {place}, nothing was sent", count(seen, "letter")));
    if decider.filter.needs_history() && decider.export.is_none() {
        decider.reasons.eprint_notes();
    }
}

/// Reports why letters that match are left, with some examples for each reason.
pub(super) fn eprint_left(tally: &Tally) {
    for (why, letters) in &tally.left {
        let letters = usize::try_from(*letters).unwrap_or(usize::MAX);
        note(&format!("{} left: {why}", count(letters, "letter")));
        for example in tally.examples(*why) {
            note(&format!("  {example}"));
        }
    }
    for (why, letters) in &tally.not_checked {
        let letters = usize::try_from(*letters).unwrap_or(usize::MAX);
        note(&format!("{} not checked: {why}", count(letters, "letter")));
    }
}
