#![allow(clippy::unwrap_used)]
use super::*;

const NOW: u64 = 1_700_000_000_000;

fn action(kind: ActionKind) -> ActionRecord {
    let beginning = Beginning {
        kind,
        name: "INC-42".into(),
        actor: "ada@laptop".into(),
        dlq: "arn:aws:sqs:eu-west-1:123456789012:jobs-dlq".into(),
        words: vec!["--type".into(), "email.send".into()],
        bounds: Vec::new(),
        host: Some("laptop".into()),
        journal: Some("/state/INC-42.journal".into()),
        export: (kind == ActionKind::Delete).then(|| "/state/INC-42.jsonl".into()),
    };
    ActionRecord::begun(beginning, NOW)
}

fn counts(count: u64) -> Counts {
    Counts::from([("sent".to_owned(), count)])
}

#[test]
fn an_action_that_does_not_report_counts_as_interrupted() {
    let action = action(ActionKind::Replay).reported(&counts(7), NOW + 5_000);
    assert_eq!(action.state(NOW + 5_000 + SILENT_AFTER_MS - 1), ActionState::Running);
    assert_eq!(action.state(NOW + 5_000 + SILENT_AFTER_MS), ActionState::Interrupted);
    let done = action.ended(ActionState::Done, None, &counts(9), NOW + 9_000);
    assert_eq!(done.state(u64::MAX), ActionState::Done);
    assert_eq!((done.ended_at, done.counts), (Some(NOW + 9_000), counts(9)));
}

#[test]
fn a_running_action_sees_its_abort_and_others_end_at_once() {
    let running = action(ActionKind::Replay);
    let asked = running.abort_asked("bob", NOW + 1).unwrap();
    assert_eq!(
        (asked.state, asked.abort),
        (ActionState::Running, Some(AbortRequest { by: "bob".into(), at: NOW + 1 }))
    );
    let late = NOW + SILENT_AFTER_MS;
    let aborted = running.abort_asked("bob", late).unwrap();
    assert_eq!((aborted.state(late), aborted.abort), (ActionState::Aborted, None));
    assert_eq!(aborted.why.unwrap(), "aborted by bob, when no process ran it");
    for over in [ActionState::Done, ActionState::Aborted] {
        let error = running.ended(over, None, &counts(1), NOW).abort_asked("bob", NOW).unwrap_err();
        assert_eq!(error.to_string(), format!("the replay INC-42 is {over} already"));
    }
}

#[test]
fn everything_but_a_running_or_finished_action_is_resumed() {
    let action = action(ActionKind::Replay);
    let error = action.resumed(Some("server"), &[], NOW + 1).unwrap_err().to_string();
    assert!(error.contains("INC-42 of ada@laptop runs on laptop"), "{error}");
    assert!(
        action.ended(ActionState::Done, None, &counts(1), NOW).resumed(Some("laptop"), &[], NOW).is_err()
    );
    let export = self::action(ActionKind::Export).ended(ActionState::Done, None, &counts(1), NOW);
    assert!(export.resumed(Some("laptop"), &[], NOW).is_ok());
    for state in [ActionState::Stopped, ActionState::Aborted, ActionState::Interrupted] {
        let ended = action.ended(state, Some("why"), &counts(1), NOW);
        let bounds = ["--rate=5/s".to_owned()];
        let resumed = ended.resumed(Some("server"), &bounds, NOW + 5).unwrap();
        assert_eq!(resumed.bounds, bounds);
        assert_eq!(
            (resumed.state(NOW + 5), &resumed.why, resumed.ended_at),
            (ActionState::Running, &None, None)
        );
        assert_eq!((resumed.counts, resumed.started_at), (counts(1), NOW));
    }
    assert!(action.resumed(None, &[], NOW + 1).is_err());
    assert!(action.resumed(Some("server"), &[], NOW + SILENT_AFTER_MS).is_ok());
    // A killed process does not report its end; its host knows that it has ended.
    assert!(action.resumed(Some("laptop"), &[], NOW + 1).is_ok());
}

#[test]
fn only_deletions_with_an_export_are_undone_and_for_two_weeks() {
    let ended = |kind| action(kind).ended(ActionState::Done, None, &counts(1), NOW);
    let delete = ended(ActionKind::Delete);
    assert_eq!(delete.undoable(NOW + UNDO_FOR_MS - 1), Ok("/state/INC-42.jsonl"));
    let late = delete.undoable(NOW + UNDO_FOR_MS).unwrap_err().to_string();
    assert!(late.contains("in /state/INC-42.jsonl"), "{late}");
    let replay = ended(ActionKind::Replay).undoable(NOW).unwrap_err().to_string();
    assert!(replay.contains("INC-42 is of the kind replay, and only deletions can be undone"), "{replay}");
    let none = ActionRecord { export: None, ..delete }.undoable(NOW).unwrap_err().to_string();
    assert!(none.contains("no export"), "{none}");
    let running = action(ActionKind::Delete);
    assert!(running.undoable(NOW + 1).is_err());
    // A killed action has deleted some of its letters.
    assert_eq!(running.undoable(NOW + SILENT_AFTER_MS), Ok("/state/INC-42.jsonl"));
    assert!(running.undoable(NOW + UNDO_FOR_MS).is_err());
}

#[test]
fn an_export_is_undone_if_it_deletes_letters() {
    let place = "s3://archive/dead/INC-42/";
    let begun = |flag: &str| ActionRecord {
        words: vec![flag.to_owned()],
        export: Some(place.to_owned()),
        ..action(ActionKind::Export)
    };
    let none = begun("--type=a").ended(ActionState::Done, None, &counts(1), NOW);
    let why = none.undoable(NOW).unwrap_err().to_string();
    assert!(why.contains("the export INC-42 has deleted nothing"), "{why}");
    assert_eq!(none.undo_until, None);
    // Also an action that was killed before it counted.
    assert_eq!(begun("--delete").undoable(NOW + SILENT_AFTER_MS), Ok(place));
    // An action that was continued with --delete.
    let deleted = Counts::from([("deleted".to_owned(), 3), ("exported".to_owned(), 4)]);
    let resumed = begun("--type=a").ended(ActionState::Done, None, &deleted, NOW);
    assert_eq!((resumed.undoable(NOW), resumed.undo_until), (Ok(place), Some(NOW + UNDO_FOR_MS)));
}

#[test]
fn letters_may_be_left_unless_all_were_deleted() {
    let counts = |exported, deleted, left| {
        let counts = [("exported", exported), ("deleted", deleted), ("left", left)];
        counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
    };
    let table = [
        (ActionState::Done, counts(4, 4, 0), false),
        (ActionState::Stopped, counts(4, 4, 0), true),
        (ActionState::Done, counts(4, 3, 1), true),
        // A part was exported without deletion.
        (ActionState::Done, counts(4, 3, 0), true),
    ];
    for (state, counts, expected) in table {
        let ended = action(ActionKind::Export).ended(state, None, &counts, NOW);
        assert_eq!(ended.may_have_left_letters(), expected, "{state} {counts:?}");
    }
}

#[test]
fn a_lock_is_for_others_and_until_its_end() {
    let held = action(ActionKind::Replay);
    let lock = held.lock(NOW);
    let of =
        |name: &str, started_at| ActionRecord { name: name.into(), started_at, ..held.clone() }.lock(NOW);
    assert!(lock.refuses(&of("INC-43", NOW), NOW + 59_999));
    assert!(!lock.refuses(&of("INC-42", NOW), NOW), "a resumed action has its own lock");
    assert!(lock.refuses(&of("INC-42", NOW + 1), NOW + 59_999), "the name alone is no holder");
    assert!(!lock.refuses(&of("INC-43", NOW), NOW + 60_000));
    assert!(!lock.released().refuses(&of("INC-43", NOW), NOW));
}

#[test]
fn a_record_fits_into_a_document_and_can_be_read_again() {
    let long = "ö\"\u{1}".repeat(5_000);
    let mut action = action(ActionKind::Delete);
    action = ActionRecord::begun(
        Beginning {
            kind: action.kind,
            name: "n".repeat(MAX_NAME),
            actor: long.clone(),
            dlq: action.dlq,
            words: vec![long.clone(); 500],
            bounds: vec![long.clone(); 500],
            host: action.host,
            journal: action.journal,
            export: action.export,
        },
        NOW,
    );
    let many = (0..500).map(|index| (format!("{index} {long}"), u64::MAX)).collect();
    let ended = action.abort_asked(&long, NOW).unwrap().ended(ActionState::Stopped, Some(&long), &many, NOW);
    let text = serde_json::to_string(&ended).unwrap();
    assert!(text.len() < 12_000, "{}", text.len());
    assert_eq!(serde_json::from_str::<ActionRecord>(&text).unwrap(), ended);
    assert!(ended.actor.chars().count() > 100 && ended.actor.ends_with('…'), "{}", ended.actor);
}

#[test]
fn a_name_is_one_of_a_file() {
    for name in ["INC-42", "replay-20261129-120000", "a", "a_b.c", &"n".repeat(MAX_NAME)] {
        assert_eq!(check_name(name), Ok(()), "{name}");
    }
    for name in ["", ".", "..", ".a", "-a", "a/b", "a b", "ä", "a:b", &"n".repeat(MAX_NAME + 1)] {
        assert!(check_name(name).is_err(), "{name}");
    }
}
