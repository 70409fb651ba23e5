//! Changes to letters before they are sent: the flags and their application.

use std::path::PathBuf;

use drumline::message::Intake;
use drumline_consumer::ExitError;
use drumline_dlq::Letter;
use drumline_dlq::diff::changes;
use drumline_dlq::fix::{Fix, FixError, Fixed, apply};
use drumline_dlq::journal::{FileMark, Left, Record, State};

use super::edit::{Edit, EditBy, Edits};

/// The number of letters whose changes are shown before they are sent.
const SHOWN: usize = 20;

/// The flags that change letters.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct ChangeArgs {
    /// Set a value in the body; several may be given
    ///
    /// The command parses the value as JSON; if that fails, it uses the value as text. It creates missing objects. The
    /// pointer may lead into a text that contains JSON, such as the Message of an SNS notification.
    #[arg(long = "set", value_name = "/POINTER=VALUE")]
    sets: Vec<Fix>,
    /// Apply a patch to the body; several may be given
    ///
    /// The file contains a JSON patch (an array, RFC 6902) or a merge patch (an object, RFC 7396).
    #[arg(long = "patch", value_name = "FILE")]
    patches: Vec<PathBuf>,
    /// Change the job's type
    ///
    /// Changes the type in the envelope or in the attribute `messageType`.
    #[arg(long, value_name = "TYPE")]
    type_to: Option<String>,
    /// Edit one letter of each type and reason, or each letter, in $VISUAL or $EDITOR [default: group]
    ///
    /// The changes of one letter apply to all letters of its group. An empty file skips the letter or the group; an unchanged
    /// file leaves the letters unchanged. The journal keeps the changes.
    #[arg(long, value_enum, value_name = "WHAT", num_args = 0..=1, require_equals = true, default_missing_value = "group")]
    edit: Option<EditBy>,
}

impl ChangeArgs {
    /// Reads the patches and prepares the editor. A resumed action takes its edits from its journal; its patch files must be
    /// unchanged.
    pub(super) fn read(&self, limit: usize, begun: Option<&State>) -> Result<Changes, ExitError> {
        let edits = match (self.edit, begun) {
            (Some(by), Some(state)) => Some(Edits::made(by, state.edits().clone())),
            (Some(by), None) => Some(Edits::begin(by, limit)?),
            (None, _) => None,
        };
        let begun = begun.map(|state| &*state.header().files);
        let paths: Vec<PathBuf> = match begun {
            Some(files) => files.iter().map(|file| PathBuf::from(&file.path)).collect(),
            None => self.patches.clone(),
        };
        let (mut fixes, mut marks) = (Vec::new(), Vec::new());
        for path in &paths {
            let wrong = |why: &str| ExitError::usage(format!("--patch {}: {why}", path.display()));
            let text = std::fs::read_to_string(path).map_err(|error| wrong(&error.to_string()))?;
            fixes.push(Fix::patch(&text).map_err(|error| wrong(&error))?);
            let absolute = std::path::absolute(path)?.display().to_string();
            marks.push(FileMark::of(&absolute, text.as_bytes()));
            if begun.is_some_and(|begun| begun.get(marks.len() - 1) != marks.last()) {
                return Err(wrong("the file has changed since the action began"));
            }
        }
        fixes.extend(self.sets.iter().cloned());
        let type_to = self.type_to.as_deref().map(Fix::type_to);
        Ok(Changes { fixes, edits, type_to, files: marks, preview: None })
    }
}

/// The changes that the flags request.
#[derive(Debug)]
pub(super) struct Changes {
    /// Patches first, then values, because a single value is the most specific change.
    fixes: Vec<Fix>,
    /// The edits, applied after the fixes.
    edits: Option<Edits>,
    /// The change of the type, applied last.
    type_to: Option<Fix>,
    /// The files of the patches.
    pub(super) files: Vec<FileMark>,
    preview: Option<Vec<String>>,
}

/// A letter that cannot be changed, and the reason.
#[derive(Debug)]
pub(super) struct Unfixable {
    pub(super) why: Left,
    pub(super) text: String,
}

impl Changes {
    /// Keeps the changes of the first letters for [`preview`](Self::preview).
    pub(super) fn keep_preview(&mut self) {
        self.preview = Some(Vec::new());
    }

    /// Returns the changes of the first letters, one text for each.
    pub(super) fn preview(&self) -> &[String] {
        self.preview.as_deref().unwrap_or_default()
    }

    /// Returns true if the operator edits letters.
    pub(super) fn are_edited(&self) -> bool {
        self.edits.is_some()
    }

    /// Returns true if the changes depend on the reason of a letter.
    pub(super) fn need_history(&self) -> bool {
        self.edits.as_ref().is_some_and(Edits::needs_history)
    }

    /// Returns the edits as records for the journal.
    pub(super) fn edited(&self) -> impl Iterator<Item = Record> {
        let all = self.edits.iter().flat_map(Edits::all);
        all.map(|(key, fix)| Record::Edited { key: key.clone(), fix: fix.clone() })
    }

    /// Returns the edits while they are being made.
    pub(super) fn edits(&mut self) -> Option<&mut Edits> {
        self.edits.as_mut()
    }

    /// Lets the operator edit a letter, unless there is already an edit for it.
    pub(super) async fn edit(&mut self, letter: &Letter, intake: &Intake) -> Result<(), ExitError> {
        match self.edits.as_mut().filter(|edits| edits.wants(letter)) {
            Some(edits) => edits.make(letter, &self.fixes, intake).await,
            None => Ok(()),
        }
    }

    /// Changes a letter.
    pub(super) fn apply(&mut self, letter: &Letter, intake: &Intake) -> Result<Fixed, Unfixable> {
        let inapplicable = |error: FixError| Unfixable { why: Left::Inapplicable, text: error.to_string() };
        let mut fixes = self.fixes.clone();
        match self.edits.as_ref().map(|edits| edits.of(letter)) {
            Some(Edit::Made(fix)) => fixes.push(fix.clone()),
            Some(Edit::Skipped | Edit::Missing) => {
                apply(letter, &fixes, intake).map_err(inapplicable)?;
                return Err(Unfixable { why: Left::Skipped, text: Left::Skipped.to_string() });
            }
            None => {}
        }
        fixes.extend(self.type_to.clone());
        if fixes.is_empty() {
            return Ok(Fixed::default());
        }
        let after = apply(letter, &fixes, intake).map_err(inapplicable)?;
        if !after.is_changed() {
            let why = Left::Unchanged;
            return Err(Unfixable { why, text: why.to_string() });
        }
        if let Some(preview) = self.preview.as_mut().filter(|preview| preview.len() < SHOWN) {
            let lines: Vec<String> = changes(letter, &after).iter().map(ToString::to_string).collect();
            preview.push(format!("{}\n{}", letter.message().id, lines.join("\n")));
        }
        Ok(after)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write as _;

    use clap::{Args, Command, FromArgMatches};
    use drumline::message::Message;
    use drumline_dlq::journal::{Header, JOURNAL_VERSION};

    use super::*;

    fn args(words: &[&str]) -> ChangeArgs {
        let command = ChangeArgs::augment_args(Command::new("replay").no_binary_name(true));
        ChangeArgs::from_arg_matches(&command.try_get_matches_from(words).unwrap()).unwrap()
    }

    fn letter(body: &str) -> Letter {
        Letter::new(
            Message { id: "m-1".into(), body: body.to_owned(), ..Message::default() },
            &Intake::default(),
        )
    }

    fn header(files: Vec<FileMark>) -> Header {
        Header {
            drumline_journal: JOURNAL_VERSION,
            kind: "replay".to_owned(),
            name: "INC-42".to_owned(),
            actor: "ops".to_owned(),
            dlq_url: "http://127.0.0.1/0/jobs-dlq".to_owned(),
            queue: None,
            words: Vec::new(),
            files,
            from: None,
            started_at: 0,
            hold_secs: 120,
        }
    }

    #[test]
    fn a_letter_is_changed_or_stays_with_a_reason() {
        let mut patch = tempfile::NamedTempFile::new().unwrap();
        patch.write_all(br#"{"payload":{"userId":1,"n":2}}"#).unwrap();
        let file = patch.path().to_str().unwrap();
        let mut changes = args(&["--set", "/payload/userId=7", "--patch", file, "--type-to", "a.b"])
            .read(usize::MAX, None)
            .unwrap();
        changes.keep_preview();
        let body = r#"{"type":"email.send","payload":{"userId":17}}"#;
        let fixed = changes.apply(&letter(body), &Intake::default()).unwrap();
        assert_eq!(fixed.body.as_deref(), Some(r#"{"type":"a.b","payload":{"userId":7,"n":2}}"#));
        let shown = "m-1\n- /payload/userId: 17\n+ /payload/userId: 7\n+ /payload/n: 2\n- /type: \"email.send\"\n+ /type: \"a.b\"";
        assert_eq!(changes.preview(), [shown]);
        let unchanged =
            changes.apply(&letter(fixed.body.as_deref().unwrap()), &Intake::default()).unwrap_err();
        assert_eq!(unchanged.why, Left::Unchanged);
        let raw = changes.apply(&letter("raw"), &Intake::default()).unwrap_err();
        assert_eq!((raw.why, &*raw.text), (Left::Inapplicable, "the body is no JSON"));
        assert!(
            !args(&[])
                .read(usize::MAX, None)
                .unwrap()
                .apply(&letter("raw"), &Intake::default())
                .unwrap()
                .is_changed()
        );
    }

    #[test]
    fn a_resumed_action_has_its_edits_and_needs_no_editor() {
        let mut state = State::new(header(Vec::new()));
        let fix = Fix::patch(r#"[{"op":"replace","path":"/payload/userId","value":7}]"#).unwrap();
        state.apply(&Record::Edited { key: "m-1".to_owned(), fix: Some(fix) }).unwrap();
        state.apply(&Record::Edited { key: "m-2".to_owned(), fix: None }).unwrap();
        let mut changes = args(&["--edit=letter"]).read(usize::MAX, Some(&state)).unwrap();
        assert!(changes.are_edited() && !changes.need_history());
        assert_eq!(changes.edited().count(), 2);
        let body = r#"{"type":"a.b","payload":{"userId":17}}"#;
        let mut change = |id: &str| {
            let message = Message { id: id.into(), body: body.to_owned(), ..Message::default() };
            changes.apply(&Letter::new(message, &Intake::default()), &Intake::default())
        };
        assert_eq!(change("m-1").unwrap().body, Some(body.replace("17", "7")));
        for skipped in ["m-2", "m-3"] {
            assert_eq!(change(skipped).unwrap_err().why, Left::Skipped);
        }
    }

    #[test]
    fn a_resumed_action_refuses_a_patch_that_has_changed() {
        let mut patch = tempfile::NamedTempFile::new().unwrap();
        patch.write_all(b"{}").unwrap();
        let args = args(&["--patch", patch.path().to_str().unwrap()]);
        let state = State::new(header(args.read(usize::MAX, None).unwrap().files));
        assert!(args.read(usize::MAX, Some(&state)).is_ok());
        patch.write_all(b" ").unwrap();
        assert!(args.read(usize::MAX, Some(&state)).unwrap_err().to_string().contains("has changed"));
        drop(patch);
        assert!(args.read(usize::MAX, None).is_err());
    }
}
