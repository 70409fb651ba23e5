//! Texts about actions.

use drumline_dlq::action::{ActionKind, ActionRecord, ActionState, Counts};
use drumline_runtime::aws::queue_name;

use crate::format::shell;

/// Returns an action as it is shown now. An action whose process no longer reports is shown as interrupted.
pub(super) fn shown(action: ActionRecord, now_ms: u64) -> ActionRecord {
    let state = action.state(now_ms);
    ActionRecord { state, ..action }
}

/// Formats counts: `sent 4000, left 2`.
pub(super) fn counts(counts: &Counts) -> String {
    let counts: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    counts.join(", ")
}

/// Returns the name of an action's DLQ.
pub(super) fn dlq(action: &ActionRecord) -> &str {
    action
        .dlq
        .rsplit(':')
        .next()
        .filter(|name| !name.contains('/'))
        .unwrap_or_else(|| queue_name(&action.dlq))
}

/// Returns the flags of an action, quoted for a shell.
pub(super) fn words(action: &ActionRecord) -> String {
    shell(&action.words)
}

/// Returns the kind of an action; `replay --native` if SQS itself moves the letters.
pub(super) fn kind(action: &ActionRecord) -> String {
    if action.is_native() { format!("{} --native", action.kind) } else { action.kind.to_string() }
}

/// Returns the arguments of the program that stop SQS's own move.
pub(super) fn cancel(action: &ActionRecord) -> String {
    format!("dlq replay --cancel {}", shell([&dlq_flag(action)]))
}

/// Returns the flag that names an action's DLQ. The flag accepts an ARN, too.
fn dlq_flag(action: &ActionRecord) -> String {
    format!("--dlq-url={}", action.dlq)
}

/// Returns the next step for an action: a label and the arguments of the program.
pub(super) fn next_step(action: &ActionRecord, now_ms: u64) -> Option<(&'static str, String)> {
    // Other processes have written the record, and people paste the command.
    let name = shell([&action.name]);
    let queue = dlq_flag(action);
    let is_over = action.state == ActionState::Done;
    match (action.kind, action.state) {
        (_, ActionState::Running) => Some(("abort", format!("dlq actions abort {name}"))),
        // SQS continues to move letters after the command that started the move has ended.
        (ActionKind::Replay, ActionState::Interrupted) if action.is_native() => {
            Some(("cancel", cancel(action)))
        }
        (ActionKind::Replay, _) if !is_over => {
            let bounds = action.bounds.iter();
            let words = action.journal.iter().chain(bounds);
            action.journal.as_ref().map(|_| ("resume", format!("dlq replay --resume {}", shell(words))))
        }
        // With only some of the flags it would be another export.
        (ActionKind::Export, _) if !is_over && !action.words_cut => {
            let path = action.export.as_ref()?;
            let again = std::iter::once(path).chain(&action.words).chain([&queue]);
            Some(("resume", format!("dlq export {} --resume", shell(again))))
        }
        (ActionKind::Undo, _) if !is_over => None,
        (ActionKind::Delete | ActionKind::Export, _) if action.undoable(now_ms).is_ok() => {
            Some(("undo", format!("dlq undo {name} {}", shell([&queue]))))
        }
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use drumline_dlq::action::Beginning;

    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn action(kind: ActionKind) -> ActionRecord {
        let beginning = Beginning {
            kind,
            name: "INC-42".to_owned(),
            actor: "ada@laptop".to_owned(),
            dlq: "arn:aws:sqs:eu-west-1:123456789012:jobs-dlq".to_owned(),
            words: ["--type=email.send", "--reason=it's odd"].map(str::to_owned).to_vec(),
            bounds: ["--rate=5/s", "--canary=10"].map(str::to_owned).to_vec(),
            host: None,
            journal: Some("/state/INC-42.journal".to_owned()),
            export: Some("/state/INC-42.jsonl".to_owned()),
        };
        ActionRecord::begun(beginning, NOW)
    }

    #[test]
    fn an_action_is_named_by_its_queue_and_flags() {
        let action = action(ActionKind::Replay);
        assert_eq!(dlq(&action), "jobs-dlq");
        assert_eq!(words(&action), "--type=email.send '--reason=it'\\''s odd'");
        let by_url = ActionRecord { dlq: "http://127.0.0.1:9324/000000000000/jobs-dlq".to_owned(), ..action };
        assert_eq!(dlq(&by_url), "jobs-dlq");
    }

    #[test]
    fn a_command_that_is_shown_is_safe_to_paste() {
        let odd = ActionRecord { name: "x; rm -rf ~".to_owned(), ..action(ActionKind::Replay) };
        assert_eq!(next_step(&odd, NOW), Some(("abort", "dlq actions abort 'x; rm -rf ~'".to_owned())));
    }

    #[test]
    fn an_export_with_unknown_flags_is_not_resumed_by_the_others() {
        let export = |words: Vec<String>| {
            let ActionRecord { kind, name, actor, dlq, host, journal, export, .. } =
                action(ActionKind::Export);
            let beginning =
                Beginning { kind, name, actor, dlq, words, bounds: Vec::new(), host, journal, export };
            ActionRecord::begun(beginning, NOW).ended(ActionState::Stopped, None, &Counts::new(), NOW)
        };
        let ids = |count| (0..count).map(|n| format!("--id=m-{n}")).collect::<Vec<_>>();
        assert!(next_step(&export(ids(32)), NOW).is_some());
        for cut in [ids(33), vec![format!("--reason={}", "r".repeat(90))], vec!["--reason=a\tb".to_owned()]] {
            assert_eq!(next_step(&export(cut.clone()), NOW), None, "{cut:?}");
        }
    }

    #[test]
    fn a_move_of_sqs_that_is_not_followed_any_more_can_be_cancelled() {
        let native = ActionRecord { journal: None, ..action(ActionKind::Replay) };
        assert_eq!(
            (kind(&native), kind(&action(ActionKind::Replay))),
            ("replay --native".into(), "replay".into())
        );
        let step = |state| {
            let ended = native.ended(state, None, &Counts::new(), NOW);
            next_step(&ended, NOW).map(|(_, command)| command)
        };
        let cancel = "dlq replay --cancel --dlq-url=arn:aws:sqs:eu-west-1:123456789012:jobs-dlq";
        assert_eq!(step(ActionState::Interrupted).as_deref(), Some(cancel));
        assert_eq!((step(ActionState::Done), step(ActionState::Stopped)), (None, None));
    }

    #[test]
    fn the_next_step_depends_on_the_kind_and_the_state() {
        use {ActionKind::*, ActionState::*};
        let step = |kind, state| {
            let action = if state == Running {
                action(kind)
            } else {
                action(kind).ended(state, None, &Counts::new(), NOW)
            };
            next_step(&action, NOW).map(|(_, command)| command)
        };
        let dlq = "--dlq-url=arn:aws:sqs:eu-west-1:123456789012:jobs-dlq";
        let undo = format!("dlq undo INC-42 {dlq}");
        let table = [
            (Replay, Running, Some("dlq actions abort INC-42")),
            (Replay, Interrupted, Some("dlq replay --resume /state/INC-42.journal --rate=5/s --canary=10")),
            (Replay, Aborted, Some("dlq replay --resume /state/INC-42.journal --rate=5/s --canary=10")),
            (Replay, Done, None),
            (
                Export,
                Stopped,
                Some(&*format!(
                    "dlq export /state/INC-42.jsonl --type=email.send '--reason=it'\\''s odd' {dlq} --resume"
                )),
            ),
            (Export, Done, None),
            (Delete, Running, Some("dlq actions abort INC-42")),
            (Delete, Done, Some(&*undo)),
            (Delete, Interrupted, Some(&*undo)),
            (Undo, Done, None),
        ];
        for (kind, state, expected) in table {
            assert_eq!(step(kind, state).as_deref(), expected, "{kind} {state}");
        }
    }

    #[test]
    fn an_export_to_s3_that_deletes_is_resumed_and_then_undone() {
        let export = ActionRecord {
            words: vec!["--delete".to_owned()],
            export: Some("s3://archive/dead/INC-42/".to_owned()),
            ..action(ActionKind::Export)
        };
        let step = |state| {
            let ended = export.ended(state, None, &Counts::new(), NOW);
            next_step(&ended, NOW).map(|(_, command)| command)
        };
        let dlq = "--dlq-url=arn:aws:sqs:eu-west-1:123456789012:jobs-dlq";
        let resume = format!("dlq export s3://archive/dead/INC-42/ --delete {dlq} --resume");
        assert_eq!(step(ActionState::Stopped), Some(resume));
        assert_eq!(step(ActionState::Done), Some(format!("dlq undo INC-42 {dlq}")));
    }
}
