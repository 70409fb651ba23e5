//! The command line of `drumline dlq replay`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use drumline_consumer::ExitError;

use super::changes::ChangeArgs;
use crate::dlq::common::{ActionArgs, QueueArgs};
use crate::dlq::filter::FilterArgs;
use crate::dlq::recorded::Recorded;
use crate::format::{rate, shell};

/// The shortest hold: its last seconds are not used.
const SHORTEST_HOLD: Duration = Duration::from_secs(10);

/// The default of `--hold`.
const HOLD: &str = "2m";

/// The default of `--canary-wait`.
const CANARY_WAIT: &str = "10m";

/// The default of `--stop-after`.
const STOP_AFTER: u32 = 10;

/// The longest time that SQS hides a message: twelve hours.
const LONGEST_HOLD: Duration = Duration::from_secs(43_200);

/// Puts dead letters back into their queues
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  {program} dlq replay --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/jobs --dry-run
  {program} dlq replay --type email.send --reason 'no such user' --rate 50/s --name INC-42
  {program} dlq replay --fingerprint 3f2a91c0 --set /payload/userId=7 --dry-run
  {program} dlq replay --yes --expect 4000
  {program} dlq replay --resume INC-42

The command sends each letter to the queue in which it died. The redrive policy of that queue must name this DLQ. --to names another \
queue. The letter keeps its body and its attributes, except those about its failure. Its job keeps its id. A job without its own id gets \
the attribute DrumlineJobId: workers recognize the job by it, and do not run it again if it is done. On a FIFO queue, the command keeps \
the order within each message group: if it does not send a letter that matches, it leaves the letters behind it, too.

If the program has the handler of a letter's type, and the handler would refuse the letter (invalid envelope, payload or key), the command \
leaves the letter in the DLQ and counts it. With --no-check, it sends such letters.

The flags --patch, --set, --edit and --type-to change letters before they are sent; the command applies them in this order. All other \
bytes of the body stay the same. If the flags do not change a letter, or cannot be applied to it, the command leaves the letter in the \
DLQ. --dry-run shows the changes of the first 20 letters.

A worker does not run a done job again, and refuses a done job with a changed payload. So if the store says that the job of a changed \
letter is done, the command leaves the letter in the DLQ. With --again, the command deletes the record that the job is done, and sends the \
letter.

The command can be killed at any time, and loses no letter: it deletes a letter from the DLQ only after SQS has confirmed the new message. \
A journal records which letters were sent, and --resume continues from there. (The command prints the journal's path. The file has mode \
0600, and contains only those parts of bodies that --set and --edit write.) Each kill, and each lost response of SQS, can leave one batch \
of ten in its queue twice: after a first lost response, the command sends the batch again; a second one ends the replay. While the command \
runs, letters that do not match are hidden from other readers. If it is killed, they stay hidden for at most the time of --hold.

On a FIFO queue, SQS shows only the first ten letters of a message group. If these ten do not match, the command cannot reach the letters \
behind them.

The command needs sqs:ReceiveMessage, sqs:ChangeMessageVisibility, sqs:GetQueueAttributes, sqs:DeleteMessage and \
sqs:ListDeadLetterSourceQueues (not with --to) on the DLQ, and sqs:SendMessage on the target queues. Without --dlq-url, it also needs \
sqs:GetQueueUrl and sqs:GetQueueAttributes on the source queue. --native needs sqs:StartMessageMoveTask, sqs:ListMessageMoveTasks and \
(--cancel) sqs:CancelMessageMoveTask instead of sqs:ChangeMessageVisibility and sqs:ListDeadLetterSourceQueues. For encrypted queues, it \
needs kms:Decrypt, and to send to them kms:GenerateDataKey.

Exit status: 0 done, all letters that matched were sent; 1 some letters that matched are left, replayed letters are in the DLQ again, the \
count differs from --expect, the replay stopped, or you declined; 64 bad usage, no DLQ, or no queue to send to; 69 a queue cannot be \
reached, a permission is missing, or histories that the filter needs can no longer be read; 129, 130 or 143 interrupted.")]
pub(in crate::dlq) struct ReplayArgs {
    #[command(flatten)]
    pub(super) queue: QueueArgs,
    #[command(flatten)]
    pub(super) choice: Recorded<ChoiceArgs>,
    /// Send at most this many letters a second
    ///
    /// The replay reaches this rate within 10 s.
    #[arg(long, value_name = "N/s", value_parser = rate)]
    pub(super) rate: Option<f64>,
    /// Send this many letters first, and wait for their outcomes
    ///
    /// On a terminal, the command then asks if it should continue. Without a terminal, it continues if the store reports
    /// that all these jobs are done. It stops if one of them is dead again, or if an outcome is still unknown after
    /// --canary-wait.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) canary: Option<u32>,
    /// Wait at most this long for the outcomes of the first letters
    #[arg(long, hide_short_help = true, value_name = "DURATION", default_value = CANARY_WAIT, requires = "canary", value_parser = crate::format::duration)]
    pub(super) canary_wait: Duration,
    /// Stop when this many letters have died again
    ///
    /// At that time, more replayed letters may still be in their queues: use --rate to limit their number, or --canary to
    /// check outcomes first. Not available with --from, which reads the file and not the DLQ.
    ///
    /// [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) stop_after: Option<u32>,
    #[command(flatten)]
    pub(super) consent: ConsentArgs,
    #[command(flatten)]
    pub(super) native: NativeArgs,
    /// Also send letters that their handlers would refuse
    #[arg(long, hide_short_help = true)]
    pub(super) no_check: bool,
    #[command(flatten)]
    pub(super) action: ActionArgs,
    /// The file of the journal [default: drumline/dlq/NAME.journal in the folder of states]
    ///
    /// The folder of states is `$XDG_STATE_HOME`, otherwise `~/.local/state`.
    #[arg(long, hide_short_help = true, value_name = "FILE", conflicts_with = "resume")]
    pub(super) journal: Option<PathBuf>,
    /// Continue a replay, by its name or its journal
    ///
    /// The batch of ten that was in flight when the replay ended may be sent twice.
    #[arg(long, value_name = "NAME|FILE", conflicts_with_all = ["name", "actor", "dry_run", "expect"])]
    pub(super) resume: Option<String>,
    /// Do not wait for letters that the killed process may still hide
    #[arg(long, hide_short_help = true, requires = "resume")]
    pub(super) no_wait: bool,
    /// Hide received letters for this long at a time
    #[arg(long, hide_short_help = true, value_name = "DURATION", default_value = HOLD, value_parser = hold)]
    pub(super) hold: Duration,
}

/// The operator's consent.
#[derive(Debug, clap::Args)]
pub(super) struct ConsentArgs {
    /// Print what would be sent, and send nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Send nothing unless this many letters match
    ///
    /// If the number differs, the exit status is 1.
    #[arg(long, value_name = "N")]
    pub(super) expect: Option<u64>,
    /// Do not ask
    #[arg(long)]
    pub(super) yes: bool,
}

/// The flags of replays that SQS performs by itself.
#[derive(Debug, clap::Args)]
pub(super) struct NativeArgs {
    /// Let SQS move all letters by itself
    ///
    /// A task of SQS (`StartMessageMoveTask`) runs independently of this command. Jobs without their own ids become new jobs,
    /// copied letters keep their reason attributes, and SQS does not guarantee the order within a message group.
    #[arg(long, conflicts_with_all = ["dry_run", "expect", "canary", "journal", "resume"])]
    pub(super) native: bool,
    /// Stop the task that --native started
    #[arg(long, hide_short_help = true, conflicts_with_all = ["native", "dry_run", "expect", "yes", "canary", "journal", "resume", "name", "rate"])]
    pub(super) cancel: bool,
}

/// The letters to send, and their target. A resumed replay takes them from its journal.
#[derive(Debug, clap::Args)]
pub(super) struct ChoiceArgs {
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    #[command(flatten)]
    pub(super) changes: ChangeArgs,
    /// Take at most this many matching letters
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: Option<u32>,
    /// Send to this queue instead of the origin
    ///
    /// Unless both queues share a scope, the other queue does not know which jobs are done, and its workers run them again.
    #[arg(long, value_name = "URL")]
    pub(super) to: Option<String>,
    /// Read an export instead of the DLQ; no letter is deleted
    #[arg(long, value_name = "FILE")]
    pub(super) from: Option<PathBuf>,
    /// Run done jobs again
    ///
    /// The command asks for confirmation, and deletes the records that these jobs are done. It needs the store that the
    /// jobs' workers share.
    #[arg(long)]
    pub(super) again: bool,
}

impl ReplayArgs {
    /// Returns the number of replayed letters that may die again before the replay stops.
    ///
    /// # Errors
    ///
    /// Returns an error if the number is given for a replay from a file.
    pub(super) fn stop_after(&self, is_from_file: bool) -> Result<usize, ExitError> {
        if is_from_file && self.stop_after.is_some() {
            return Err(ExitError::usage(
                "--stop-after does not go with a replay from a file, which does not look into the DLQ and so does not see what dies \
                 again: --canary N looks there, and --rate N/s bounds what is sent meanwhile",
            ));
        }
        Ok(self.stop_after.unwrap_or(STOP_AFTER) as usize)
    }

    /// Returns the arguments that resume the replay with this journal, including the flags that a journal does not keep.
    pub(super) fn to_resume(&self, journal: &Path) -> String {
        let mut words = vec!["dlq".to_owned(), "replay".to_owned(), "--resume".to_owned()];
        words.push(journal.display().to_string());
        words.extend(self.bounds());
        shell(&words)
    }

    /// Returns the flags that bound the replay, as they were given. A journal does not keep these flags.
    pub(super) fn bounds(&self) -> Vec<String> {
        let given = |name: &str, value: &Duration, default: &str| {
            let is_default = crate::format::duration(default).as_ref() == Ok(value);
            let value = humantime::format_duration(*value).to_string().replace(' ', "");
            (!is_default).then(|| format!("--{name}={value}"))
        };
        let flags = [
            self.rate.map(|rate| format!("--rate={rate}/s")),
            self.canary.map(|canary| format!("--canary={canary}")),
            given("canary-wait", &self.canary_wait, CANARY_WAIT).filter(|_| self.canary.is_some()),
            self.stop_after.map(|count| format!("--stop-after={count}")),
            given("hold", &self.hold, HOLD),
            self.no_check.then(|| "--no-check".to_owned()),
            self.queue.force.then(|| "--force".to_owned()),
        ];
        flags.into_iter().flatten().collect()
    }
}

fn hold(text: &str) -> Result<Duration, String> {
    let hold = crate::format::duration(text)?;
    if (SHORTEST_HOLD..=LONGEST_HOLD).contains(&hold) {
        return Ok(hold);
    }
    Err("SQS hides a message for 12h at most, and less than 10s are too short".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    fn args(words: &str) -> ReplayArgs {
        let command = ReplayArgs::augment_args(Command::new("replay").no_binary_name(true));
        ReplayArgs::from_arg_matches(&command.try_get_matches_from(words.split_whitespace()).unwrap())
            .unwrap()
    }

    #[test]
    fn the_help_names_the_default_of_stop_after() {
        let mut command = ReplayArgs::augment_args(Command::new("replay"));
        let help = command.render_long_help().to_string();
        let flag = help.split("--stop-after").nth(1).unwrap();
        assert!(flag.split("\n  -").next().unwrap().contains(&format!("[default: {STOP_AFTER}]")), "{flag}");
    }

    #[test]
    fn a_limit_of_repeated_deaths_is_refused_for_a_file() {
        assert_eq!(args("--yes").stop_after(true).unwrap(), 10);
        assert_eq!(args("--stop-after 10").stop_after(false).unwrap(), 10);
        let refused = args("--stop-after 10").stop_after(true).unwrap_err().to_string();
        assert!(refused.contains("does not look into the DLQ") && refused.contains("--canary"), "{refused}");
    }

    #[test]
    fn the_command_that_continues_has_the_same_bounds() {
        let bounds =
            "--rate=0.5/s --canary=10 --canary-wait=1h30m --stop-after=3 --hold=10s500ms --no-check --force";
        let table = [
            ("--type a.b --yes --hold 120s", ""),
            (bounds, bounds),
            ("--rate 20 --hold 12h", "--rate=20/s --hold=12h"),
            ("--canary 7 --canary-wait 600s", "--canary=7"),
        ];
        for (given, expected) in table {
            let command = args(given).to_resume(Path::new("/x/INC-42.journal"));
            let flags = command.strip_prefix("dlq replay --resume /x/INC-42.journal").unwrap().trim();
            assert_eq!(flags, expected, "{given}");
            let again = args(command.strip_prefix("dlq replay").unwrap());
            assert_eq!(again.to_resume(Path::new("/x/INC-42.journal")), command);
        }
    }
}
