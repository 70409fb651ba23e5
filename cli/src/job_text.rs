//! A job as text: the output of `drumline jobs show` and of `drumline dlq show`.

use std::collections::{BTreeSet, HashSet};
use std::io::{self, Write};

use comfy_table::Table;
use drumline_consumer::job_view::{JobView, ShownState, job_type, queue};
use drumline_store::{AttemptRecord, ClaimRecord, DuplicateOf, JobRecord, MAX_ATTEMPTS_KEPT, ProgressRecord};

use crate::format::{brief, one_line, rfc3339, short, table, when};

/// The width of a progress bar.
const BAR: u64 = 30;

/// The longest verdict, result or reason in a table; JSON contains the complete text.
const LONGEST: usize = 400;

/// The time for the record of an attempt that has just ended: it is written after the claim is released.
const RECORD_MS: u64 = 5_000;

/// Writes all known facts about a job.
pub(crate) fn write_job(out: &mut impl Write, view: &JobView, now: u64, is_terminal: bool) -> io::Result<()> {
    for (name, value) in facts(view, now) {
        writeln!(out, "{name:<10}{value}")?;
    }
    let attempts = &view.job.attempts;
    let unended = unended(view, now);
    if attempts.is_empty() && unended.is_empty() {
        writeln!(out, "\nNo failed attempt is known.")?;
    } else {
        writeln!(out, "\nFAILED ATTEMPTS")?;
        write_attempts(out, &view.job, &unended, now, is_terminal)?;
        write_log(out, attempts)?;
    }
    if view.others.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nOTHER JOBS OF THIS ID (select with --queue, --type and --source)")?;
    let mut table = table(["STATE", "TYPE", "QUEUE", "SCOPE", "SOURCE", "MESSAGE"], is_terminal);
    for other in &view.others {
        let text = |text: &Option<String>| text.as_deref().map(one_line).unwrap_or_default();
        let texts = [&other.job_type, &other.queue, &other.scope, &other.source, &other.message_id].map(text);
        table.add_row([other.state.label().to_owned()].into_iter().chain(texts));
    }
    writeln!(out, "{table}")
}

/// Returns the numbers of those attempts at the claim's message that have begun and of which no end is recorded. The claim counts
/// the attempts that began, and the history has those that failed.
fn unended(view: &JobView, now: u64) -> Vec<u32> {
    let JobView { state, job, .. } = view;
    let Some(claim) = job.claim.as_ref().filter(|_| job.duplicate_of.is_none()) else { return Vec::new() };
    let of_message = job.attempts.iter().filter(|attempt| attempt.message_id == claim.message_id);
    let recorded: BTreeSet<u32> = of_message.map(|attempt| attempt.attempt).collect();
    // The store has dropped the oldest ones of a long history.
    let is_whole = job.attempts.len() < MAX_ATTEMPTS_KEPT;
    let first = if is_whole { Some(1) } else { recorded.first().copied() };
    let last_is_open = match state {
        // It has succeeded.
        ShownState::Done => false,
        ShownState::Running => claim.claimed_until_ms <= now,
        _ => claim.claimed_until_ms.saturating_add(RECORD_MS) <= now,
    };
    let end = claim.attempts.saturating_add(u32::from(last_is_open));
    let numbers = first.map_or(0..0, |first| first..end);
    numbers.filter(|number| !recorded.contains(number)).take(MAX_ATTEMPTS_KEPT).collect()
}

/// Writes the failed attempts, oldest first, with their messages if these are not all the claim's message; and before the next of
/// them those without a recorded end.
fn write_attempts(
    out: &mut impl Write,
    job: &JobRecord,
    unended: &[u32],
    now: u64,
    is_terminal: bool,
) -> io::Result<()> {
    let messages: HashSet<&str> = job.attempts.iter().map(|attempt| attempt.message_id.as_str()).collect();
    let claimed = job.claim.as_ref().map(|claim| claim.message_id.as_str());
    let with_messages =
        messages.iter().any(|id| Some(*id) != claimed) && (claimed.is_some() || messages.len() > 1);
    let header = ["WHEN", "ATTEMPT", "CLASS", "REASON", "THEN", "TOOK", "WORKER", "MESSAGE"];
    let columns = if with_messages { header.len() } else { header.len() - 1 };
    let mut table = table(header.into_iter().take(columns), is_terminal);
    let mut unended = unended.iter().copied().peekable();
    let mut add_unended = |table: &mut Table, before: Option<u32>| {
        while let (Some(claim), Some(number)) =
            (&job.claim, unended.next_if(|number| before.is_none_or(|before| *number < before)))
        {
            table.add_row(unended_cells(claim, number, now).into_iter().take(columns));
        }
    };
    for attempt in &job.attempts {
        if claimed == Some(&*attempt.message_id) {
            add_unended(&mut table, Some(attempt.attempt));
        }
        let cells = [
            when(attempt.at_ms, now),
            attempt.attempt.to_string(),
            attempt.class.clone(),
            brief(&attempt.reason, LONGEST),
            consequence(attempt),
            short(attempt.took_ms),
            one_line(&attempt.worker),
            one_line(&attempt.message_id),
        ];
        table.add_row(cells.into_iter().take(columns));
    }
    add_unended(&mut table, None);
    writeln!(out, "{table}")
}

/// Returns the row of an attempt without a recorded end. Only the worker of the last attempt is known.
fn unended_cells(claim: &ClaimRecord, number: u32, now: u64) -> [String; 8] {
    let is_last = number == claim.attempts;
    let ended = if is_last {
        format!("; its claim ended {}", when(claim.claimed_until_ms, now))
    } else {
        String::new()
    };
    let reason = format!("no end is recorded: its worker was killed, or could not record it{ended}");
    let worker = if is_last { one_line(&claim.owner) } else { String::new() };
    let empty = String::new;
    [empty(), number.to_string(), empty(), reason, empty(), empty(), worker, one_line(&claim.message_id)]
}

/// The lines of the last attempt that has some; JSON has those of all.
fn write_log(out: &mut impl Write, attempts: &[AttemptRecord]) -> io::Result<()> {
    let Some(attempt) = attempts.iter().rev().find(|attempt| !attempt.log.is_empty()) else { return Ok(()) };
    writeln!(out, "\nLAST LOG LINES OF ATTEMPT {}", attempt.attempt)?;
    for line in &attempt.log {
        writeln!(out, "{}", one_line(line))?;
    }
    Ok(())
}

fn consequence(attempt: &AttemptRecord) -> String {
    if attempt.last_attempt {
        return "last attempt".to_owned();
    }
    match (&*attempt.outcome, attempt.retry_in_ms) {
        ("retry", Some(delay)) => format!("again after {}", short(delay)),
        ("dead_letter", _) => "failed permanently".to_owned(),
        ("release", _) => "released to queue".to_owned(),
        ("lease_lost", _) => "lease lost".to_owned(),
        (other, _) => one_line(other),
    }
}

fn facts(view: &JobView, now: u64) -> Vec<(&'static str, String)> {
    let JobView { state, job, .. } = view;
    let claim = job.claim.as_ref();
    let last = job.attempts.last();
    let mut facts = vec![("STATE", state_in_words(*state)), ("JOB", one_line(&job.job_id))];
    let mut add = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    add("DUPLICATE", job.duplicate_of.as_ref().map(|original| duplicate_of(original, now)));
    let shared = claim.filter(|claim| {
        let is_other = !claim.job_id.is_empty() && claim.job_id != job.job_id;
        is_other && job.duplicate_of.is_none()
    });
    add(
        "SHARED",
        shared.map(|claim| format!("the identity is that of the job {} too", one_line(&claim.job_id))),
    );
    add("TYPE", job_type(job).map(one_line));
    add("QUEUE", queue(job).map(one_line));
    add("SCOPE", job.scope.as_deref().map(one_line));
    add("SOURCE", job.source.as_deref().map(one_line));
    let message = claim.map(|claim| &claim.message_id).or(last.map(|last| &last.message_id));
    add("MESSAGE", message.map(|id| one_line(id)));
    if let Some(claim) = claim {
        add("KEY", Some(one_line(&claim.key)));
        add("WORKER", Some(one_line(&claim.owner)));
        add("ATTEMPTS", Some(claim.attempts.to_string()));
        add("FINISHED", claim.finished_at_ms.map(|at| when(at, now)));
        let is_running = *state == ShownState::Running;
        add("CLAIMED", is_running.then(|| format!("until {}", when(claim.claimed_until_ms, now))));
    }
    let progress = job.progress.as_ref();
    add(
        "PROGRESS",
        progress.map(|progress| {
            format!(
                "{} {}, {} ago",
                bar(progress),
                in_units(progress),
                short(now.saturating_sub(progress.at_ms))
            )
        }),
    );
    if let Some(claim) = claim {
        add("VERDICT", claim.failure_reason.as_ref().map(|failure_reason| brief(failure_reason, LONGEST)));
        add("RESULT", claim.result.as_ref().map(|result| brief(&result.to_string(), LONGEST)));
    }
    facts
}

/// Describes the job that ran instead of this duplicate.
fn duplicate_of(original: &DuplicateOf, now: u64) -> String {
    let finished = original.finished_at_ms.map(|at| format!(", {}", when(at, now))).unwrap_or_default();
    format!(
        "not run: {} of the queue {} is the same job, done by {} for message {}{finished}",
        one_line(&original.job_id),
        one_line(&original.queue),
        one_line(&original.worker),
        one_line(&original.message_id),
    )
}

fn state_in_words(state: ShownState) -> String {
    let more = match state {
        ShownState::Running | ShownState::Done => "",
        ShownState::Waiting => ": for its next attempt",
        ShownState::Dead => ": its last attempt failed, and SQS moves the message to the DLQ",
        ShownState::Failed => ": no attempt can succeed",
        ShownState::Unknown => ": only what follows is known",
    };
    format!("{}{more}", state.label())
}

fn bar(progress: &ProgressRecord) -> String {
    let filled = portion(progress, BAR);
    let filled = usize::try_from(filled).unwrap_or_default();
    let empty = usize::try_from(BAR).unwrap_or_default() - filled;
    format!("[{}{}]", "#".repeat(filled), "-".repeat(empty))
}

/// Formats progress: `45 % 450 of 1000 records`.
fn in_units(progress: &ProgressRecord) -> String {
    let ProgressRecord { done, total, unit, .. } = progress;
    format!("{} % {done} of {total} {}", portion(progress, 100), one_line(unit))
}

/// Returns the completed part of `whole`, rounded down: 999 of 1000 is 99 %.
fn portion(progress: &ProgressRecord, whole: u64) -> u64 {
    let (done, total) = (u128::from(progress.done), u128::from(progress.total));
    if total == 0 {
        return 0;
    }
    u64::try_from(done.min(total) * u128::from(whole) / total).unwrap_or(whole)
}

/// Returns a job as one line for `jobs watch`.
pub(crate) fn line(view: &JobView) -> String {
    let JobView { state, job, .. } = view;
    let mut parts = vec![state.label().to_owned()];
    if let Some(claim) = &job.claim {
        if *state == ShownState::Running {
            parts.push(format!("attempt {} by {}", claim.attempts, one_line(&claim.owner)));
        }
        if let (ShownState::Failed, Some(failure_reason)) = (state, &claim.failure_reason) {
            parts.push(brief(failure_reason, LONGEST));
            return parts.join(", ");
        }
    }
    if let (ShownState::Running | ShownState::Done, Some(progress)) = (state, &job.progress) {
        parts.push(in_units(progress));
    }
    if let (ShownState::Waiting | ShownState::Failed | ShownState::Dead | ShownState::Unknown, Some(last)) =
        (state, job.attempts.last())
    {
        let reason = brief(&last.reason, LONGEST);
        parts.push(format!("attempt {} {}: {reason} ({})", last.attempt, last.class, consequence(last)));
    }
    parts.join(", ")
}

/// Returns a line with the time at which the job changed or was seen.
pub(crate) fn stamped(view: &JobView, now: u64) -> String {
    format!("{} {}", rfc3339(now), line(view))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use drumline_store::{ClaimRecord, JobState};

    use super::*;
    use crate::examples::{attempt, claim, job};

    const NOW: u64 = 1_700_000_010_000;

    fn progress(done: u64, total: u64) -> ProgressRecord {
        ProgressRecord { at_ms: NOW - 2_000, done, total, unit: "records".to_owned() }
    }

    fn text(view: &JobView) -> String {
        let mut out = Vec::new();
        write_job(&mut out, view, NOW, false).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_running_job_shows_its_worker_and_its_progress() {
        let mut record = job(Some(claim(JobState::Running)), Vec::new());
        record.progress = Some(progress(450, 1000));
        let text = text(&record.into());
        for words in [
            "STATE     running",
            "JOB       j-1",
            "TYPE      email.send",
            "WORKER    host-7",
            "ATTEMPTS  2",
            "CLAIMED   until 2023-11-14T22:13:50Z, in 20s",
            "PROGRESS  [#############-----------------] 45 % 450 of 1000 records, 2s ago",
            "no end is recorded",
        ] {
            assert!(text.contains(words), "{words:?} in\n{text}");
        }
        assert!(!text.contains("OTHER JOBS") && !text.contains("DUPLICATE"), "{text}");
    }

    #[test]
    fn the_log_of_the_last_attempt_that_has_one_is_shown() {
        let with_log = |lines: &[&str]| {
            let log = lines.iter().map(|&line| line.to_owned()).collect();
            AttemptRecord { log, ..attempt("retry", "no route") }
        };
        let record =
            job(None, vec![with_log(&["older"]), with_log(&["begun", "refused\u{1b}[2J"]), with_log(&[])]);
        let text = text(&record.into());
        assert!(text.contains("\nLAST LOG LINES OF ATTEMPT 2\nbegun\nrefused"), "{text}");
        assert!(!text.contains("older") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn a_failed_job_shows_its_verdict_and_its_attempts() {
        let mut retried = attempt("retry", "no route\nto host\u{1b}[2J");
        retried.retry_in_ms = Some(5_000);
        let mut claim = claim(JobState::Failed);
        claim.failure_reason = Some("no such user".to_owned());
        claim.key = "mail:7".to_owned();
        let text = text(&job(Some(claim), vec![retried, attempt("dead_letter", "no such user")]).into());
        for words in [
            "STATE     failed: no attempt can succeed",
            "KEY       mail:7",
            "VERDICT   no such user",
            "no route to host [2J",
            "again after 5s",
            "failed permanently",
            "1.25s",
        ] {
            assert!(text.contains(words), "{words:?} in\n{text}");
        }
        assert!(!text.contains('\u{1b}') && !text.contains("CLAIMED"), "{text}");
    }

    #[test]
    fn an_attempt_without_a_recorded_end_is_listed() {
        let ended =
            |number| AttemptRecord { attempt: number, ..attempt("retry", &format!("reason {number}")) };
        let of = |state, attempts, until| ClaimRecord { attempts, claimed_until_ms: until, ..claim(state) };
        let open = |claim, records: Vec<AttemptRecord>| unended(&job(Some(claim), records).into(), NOW);
        let (past, future) = (NOW - 60_000, NOW + 20_000);
        assert_eq!(open(of(JobState::Running, 1, future), vec![]), [0; 0], "it runs");
        assert_eq!(open(of(JobState::Running, 3, future), vec![ended(2)]), [1]);
        assert_eq!(open(of(JobState::Running, 3, past), vec![ended(2)]), [1, 3]);
        assert_eq!(open(of(JobState::Waiting, 2, past), vec![ended(1)]), [2]);
        assert_eq!(open(of(JobState::Waiting, 2, NOW - 100), vec![ended(1)]), [0; 0], "about to be written");
        assert_eq!(open(of(JobState::Waiting, 2, past), vec![ended(1), ended(2), ended(2)]), [0; 0]);
        assert_eq!(open(of(JobState::Done, 3, past), vec![ended(2)]), [1]);
        let of_other = AttemptRecord { message_id: "m-0".to_owned(), ..ended(1) };
        assert_eq!(open(of(JobState::Done, 2, past), vec![of_other]), [1], "a redrive gave it a new message");
        let dropped = (11..=60).map(ended).collect();
        assert_eq!(open(of(JobState::Done, 61, past), dropped), [0; 0], "the oldest were dropped");

        let text = text(&job(Some(of(JobState::Running, 3, past)), vec![ended(2)]).into());
        let table: Vec<&str> = text.lines().skip_while(|line| *line != "FAILED ATTEMPTS").skip(2).collect();
        assert!(table[0].contains(" 1 ") && table[0].contains("no end is recorded"), "{text}");
        assert!(!table[0].contains("host-7"), "the worker of an earlier attempt is not known: {text}");
        assert!(table[1].contains(" 2 ") && table[1].contains("reason 2"), "{text}");
        assert!(table[2].contains(" 3 ") && table[2].contains("its claim ended"), "{text}");
        assert!(table[2].contains("1m ago") && table[2].contains("host-7"), "{text}");
    }

    #[test]
    fn history_alone_has_type_queue_and_message() {
        let text = text(&job(None, vec![attempt("retry", "no route")]).into());
        for words in ["STATE     unknown", "TYPE      email.send", "QUEUE     jobs", "MESSAGE   m-1"] {
            assert!(text.contains(words), "{words:?} in\n{text}");
        }
    }

    #[test]
    fn a_duplicate_names_the_job_that_was_run_and_shows_its_result() {
        let mut original = claim(JobState::Done);
        original.job_id = "j-0".to_owned();
        original.result = Some(serde_json::json!({ "messageId": "<d-1@mail>" }));
        let mut record = job(Some(original), Vec::new());
        record.duplicate_of = Some(DuplicateOf {
            job_id: "j-0".to_owned(),
            message_id: "m-0".to_owned(),
            queue: "jobs".to_owned(),
            worker: "host-7".to_owned(),
            finished_at_ms: Some(NOW - 5_000),
        });
        let mut view = JobView::from(record);
        view.others = vec![job(Some(claim(JobState::Running)), Vec::new()).into()];
        let text = text(&view);
        for words in [
            "JOB       j-1",
            "DUPLICATE not run: j-0 of the queue jobs is the same job, done by host-7 for message m-0",
            "RESULT    {\"messageId\":\"<d-1@mail>\"}",
            "OTHER JOBS OF THIS ID",
            "running",
        ] {
            assert!(text.contains(words), "{words:?} in\n{text}");
        }
    }

    #[test]
    fn only_all_is_all_and_nonsense_does_no_harm() {
        let table = [(0, 0, 0), (0, 5, 0), (999, 1000, 99), (1000, 1000, 100), (7, 5, 100), (1, u64::MAX, 0)];
        for (done, total, percent) in table {
            assert_eq!(portion(&progress(done, total), 100), percent, "{done} of {total}");
        }
        assert_eq!(portion(&progress(u64::MAX, u64::MAX), BAR), BAR);
    }

    #[test]
    fn a_watcher_reads_one_line() {
        let mut running = job(Some(claim(JobState::Running)), Vec::new());
        running.progress = Some(progress(1, 3));
        assert_eq!(line(&running.into()), "running, attempt 2 by host-7, 33 % 1 of 3 records");
        let waiting = job(Some(claim(JobState::Waiting)), vec![attempt("retry", "no route")]);
        assert_eq!(line(&waiting.into()), "waiting, attempt 2 rejected: no route (retry)");
        let mut last = attempt("retry", "no route");
        last.last_attempt = true;
        let dead = job(Some(claim(JobState::Dead)), vec![last]);
        assert_eq!(line(&dead.into()), "dead, attempt 2 rejected: no route (last attempt)");
        let mut failure_reason = claim(JobState::Failed);
        failure_reason.failure_reason = Some("no such user".to_owned());
        assert_eq!(line(&job(Some(failure_reason), Vec::new()).into()), "failed, no such user");
    }
}
