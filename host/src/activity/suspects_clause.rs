//! The wait of a queue for messages that may have killed a process.

use std::time::Instant;

use drumline::core::{InHandCounts, Suspects};

use crate::unseen::is_unseen;
use crate::waiting_for::{singular, words};

/// The maximum length of an ID in the sentence, in characters: producers choose the IDs of jobs.
const MAX_ID: usize = 100;

/// Returns which messages run alone, or wait for that, and how long this step takes at most: further ones may follow it.
pub(super) fn explain(queue: &str, suspects: &Suspects, counts: &InHandCounts, now: Instant) -> String {
    let Suspects { running, waiting, until, .. } = suspects;
    let (are_running, alone) = if *running > 0 { (true, *running) } else { (false, *waiting) };
    let left = until.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero());
    let at_most = left.map(|left| format!("up to {}", words(left)));
    let who = match alone.saturating_sub(1) {
        0 => first(suspects),
        more => format!("{} and {more} more", first(suspects)),
    };
    let s = singular(alone);
    let what = if are_running {
        format!("run{s} alone{}", at_most.map(|time| format!(" for {time}")).unwrap_or_default())
    } else if counts.running > 0 {
        let time = at_most.map(|time| format!(" {time}")).unwrap_or_default();
        format!("wait{s}{time} for the running jobs, to run alone after them")
    } else {
        format!("wait{s} to run alone")
    };
    let it = if alone == 1 { "it" } else { "they" };
    let others = counts.all().saturating_sub(counts.running + counts.settling);
    let others = match others {
        0 => String::new(),
        _ if !are_running => String::new(),
        1 => ", and 1 other message in hand waits".to_owned(),
        _ => format!(", and {others} other messages in hand wait"),
    };
    format!("{queue} receives no other message: {who} {what}, since {it} may have killed a process{others}")
}

/// Returns one of the messages by its IDs, if they may be read.
fn first(suspects: &Suspects) -> String {
    match (&suspects.job_id, &*suspects.message_id) {
        (_, "") => "a message".to_owned(),
        (None, message) => format!("message {}", shown(message)),
        (Some(job), message) => format!("job {} (message {})", shown(job), shown(message)),
    }
}

fn shown(id: &str) -> String {
    id.chars().take(MAX_ID).map(|c| if is_unseen(c) { ' ' } else { c }).collect()
}
