//! Edits of letters in the operator's editor, and the letters to which each edit applies.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use drumline::message::Intake;
use drumline_consumer::ExitError;
use drumline_dlq::Letter;
use drumline_dlq::fix::{Fix, FixError, apply};
use drumline_runtime::variable;

use crate::format::{brief, note};
use crate::pretty::broken;
use crate::question::{confirm, may_ask};

/// The letters to which one edit applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum EditBy {
    /// Each letter is edited
    Letter,
    /// One letter of each type and reason is edited, and the others receive the same changes
    Group,
}

/// The edits of an action.
#[derive(Debug)]
pub(super) struct Edits {
    by: EditBy,
    /// `None` after the first send: no more edits are made.
    editor: Option<String>,
    /// The number of letters that may still be edited or changed by an edit.
    room: usize,
    /// The edits by letter or group; `None` for skipped ones.
    made: BTreeMap<String, Option<Fix>>,
}

/// The edit of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edit<'a> {
    /// The letter receives this change.
    Made(&'a Fix),
    /// The letter was skipped.
    Skipped,
    /// The letter was not edited.
    Missing,
}

impl Edits {
    /// Begins edits, which are made while the letters are counted.
    pub(super) fn begin(by: EditBy, limit: usize) -> Result<Self, ExitError> {
        let editor = variable("VISUAL").or_else(|| variable("EDITOR"));
        let editor =
            editor.ok_or_else(|| ExitError::usage("--edit needs an editor in $VISUAL or $EDITOR"))?;
        Ok(Self { by, editor: Some(editor), room: limit, made: BTreeMap::new() })
    }

    /// Restores edits that were made before the action was killed or stopped.
    pub(super) fn made(by: EditBy, made: BTreeMap<String, Option<Fix>>) -> Self {
        Self { by, editor: None, room: usize::MAX, made }
    }

    /// Ends the edits, because sending begins.
    pub(super) fn end(&mut self) {
        self.editor = None;
        self.room = usize::MAX;
    }

    /// Returns true if no further letter is needed.
    pub(super) fn is_full(&self) -> bool {
        self.room == 0
    }

    /// Counts a letter that will be sent.
    pub(super) fn count(&mut self) {
        self.room = self.room.saturating_sub(usize::from(self.editor.is_some()));
    }

    /// Returns true if one edit applies to all letters of one type and reason.
    pub(super) fn needs_history(&self) -> bool {
        self.by == EditBy::Group
    }

    /// Returns all edits by letter or group.
    pub(super) fn all(&self) -> &BTreeMap<String, Option<Fix>> {
        &self.made
    }

    /// Returns the edit of a letter.
    pub(super) fn of(&self, letter: &Letter) -> Edit<'_> {
        match self.made.get(&self.key(letter)) {
            Some(Some(fix)) => Edit::Made(fix),
            Some(None) => Edit::Skipped,
            None => Edit::Missing,
        }
    }

    /// Returns true if a letter has to be edited now.
    pub(super) fn wants(&self, letter: &Letter) -> bool {
        self.editor.is_some() && self.of(letter) == Edit::Missing
    }

    /// Lets the operator edit a letter to which these fixes were already applied.
    pub(super) async fn make(
        &mut self,
        letter: &Letter,
        fixes: &[Fix],
        intake: &Intake,
    ) -> Result<(), ExitError> {
        let Some(editor) = self.editor.clone() else { return Ok(()) };
        let Ok(before) = apply(letter, fixes, intake) else { return Ok(()) };
        let body = before.body.unwrap_or_else(|| letter.message().body.clone());
        let any_patch: Vec<Fix> = fixes.iter().cloned().chain(Fix::patch("[]")).collect();
        let is_json = match apply(letter, &any_patch, intake) {
            Ok(_) => true,
            Err(FixError::NotJson) => false,
            // A letter that cannot be changed is not edited. Its reason is reported when it is left.
            Err(_) => return Ok(()),
        };
        let (mut text, suffix) =
            if is_json { (broken(&body) + "\n", ".json") } else { (body.clone(), ".txt") };
        let key = self.key(letter);
        let edit = loop {
            let shown = text.clone();
            let editor = editor.clone();
            let edited = tokio::task::spawn_blocking(move || edited(&editor, &shown, suffix)).await;
            text = edited.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
            if text.trim().is_empty() {
                break None;
            }
            match change(letter, fixes, intake, &body, &text) {
                Ok(fix) => break Some(fix),
                Err(why) => {
                    let id = &letter.message().id;
                    let why = format!("the edit of {id} cannot be sent: {why}");
                    if !may_ask() {
                        return Err(ExitError::usage(why));
                    }
                    note(&why);
                    if !confirm("Edit it again?").await? {
                        return Err(ExitError::other("nothing was sent"));
                    }
                }
            }
        };
        self.made.insert(key, edit);
        Ok(())
    }

    fn key(&self, letter: &Letter) -> String {
        match self.by {
            EditBy::Letter => letter.message().id.to_string(),
            EditBy::Group => format!("{} {}", letter.fingerprint(), letter.job_type().unwrap_or_default()),
        }
    }
}

/// Returns the change that an edit of a letter makes.
fn change(letter: &Letter, fixes: &[Fix], intake: &Intake, body: &str, edited: &str) -> Result<Fix, String> {
    let is_json =
        |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text.trim_start_matches('\u{feff}'));
    if is_json(body).is_ok()
        && let Err(error) = is_json(edited)
    {
        return Err(format!("it is no JSON: {error}"));
    }
    // Editors add a line break at the end.
    let edited = edited.strip_suffix('\n').filter(|_| !body.ends_with('\n')).unwrap_or(edited);
    let nothing = || Fix::patch("[]");
    let fix = Fix::edit(body, edited).map_or_else(nothing, Ok)?;
    let all: Vec<Fix> = fixes.iter().chain([&fix]).cloned().collect();
    match apply(letter, &all, intake) {
        Ok(_) => Ok(fix),
        // The body is no JSON and was not edited.
        Err(_) if body == edited => Ok(fix),
        Err(error) => Err(brief(&error.to_string(), 200)),
    }
}

/// Opens the text in the editor and returns the edited text. The file is readable by its owner only, and is removed at once.
fn edited(editor: &str, text: &str, suffix: &str) -> Result<String, ExitError> {
    let mut file = tempfile::Builder::new().prefix("drumline-").suffix(suffix).tempfile()?;
    file.write_all(text.as_bytes())?;
    file.flush()?;
    let status = command(editor, file.path()).status();
    let status = status
        .map_err(|error| ExitError::usage(format!("the editor {editor} cannot be started: {error}")))?;
    if !status.success() {
        return Err(ExitError::usage(format!("the editor {editor} ended with {status}: nothing was sent")));
    }
    // Some editors replace the file with a new one.
    std::fs::read_to_string(file.path())
        .map_err(|error| ExitError::usage(format!("the edited letter cannot be read: {error}")))
}

/// Returns the command of the editor. An editor may include arguments, so the value is a line for the shell.
#[cfg(unix)]
fn command(editor: &str, file: &Path) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(file);
    command
}

#[cfg(not(unix))]
fn command(editor: &str, file: &Path) -> Command {
    let mut words = editor.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).arg(file);
    command
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use drumline::message::Message;

    use super::*;

    const BODY: &str = r#"{"type":"email.send","payload":{"userId":17,"amount":1.50}}"#;

    fn letter(id: &str, body: &str) -> Letter {
        Letter::new(
            Message { id: id.into(), body: body.to_owned(), ..Message::default() },
            &Intake::default(),
        )
    }

    async fn edits(by: EditBy, editor: &str, letters: &[&Letter]) -> Result<Edits, ExitError> {
        let mut edits =
            Edits { by, editor: Some(editor.to_owned()), room: letters.len(), made: BTreeMap::new() };
        for letter in letters {
            if edits.wants(letter) {
                edits.make(letter, &[], &Intake::default()).await?;
            }
        }
        Ok(edits)
    }

    fn fixed(edits: &Edits, letter: &Letter) -> Option<String> {
        let Edit::Made(fix) = edits.of(letter) else { return None };
        apply(letter, std::slice::from_ref(fix), &Intake::default()).ok()?.body
    }

    #[tokio::test]
    async fn an_edit_of_one_letter_is_for_its_group_or_for_itself() {
        let (one, other) = (letter("m-1", BODY), letter("m-2", &BODY.replace("17", "18")));
        let of_another_type = letter("m-3", &BODY.replace("email.send", "email.check"));
        let letters = [&one, &other, &of_another_type];
        let editor = "sed -i 's/: 17/: 7/'";
        let group = edits(EditBy::Group, editor, &letters).await.unwrap();
        assert_eq!(group.all().len(), 2);
        assert_eq!(fixed(&group, &one), Some(BODY.replace("17", "7")));
        assert_eq!(fixed(&group, &other), Some(BODY.replace("17", "7")));
        let each = edits(EditBy::Letter, editor, &letters).await.unwrap();
        assert_eq!(each.all().len(), 3);
        assert_eq!(fixed(&each, &one), Some(BODY.replace("17", "7")));
        assert_eq!(fixed(&each, &other), None, "it was not changed");
        let kept = Edits::made(EditBy::Letter, each.all().clone());
        assert_eq!(fixed(&kept, &one), Some(BODY.replace("17", "7")));
        assert!(!kept.wants(&letter("m-4", BODY)));
    }

    #[tokio::test]
    async fn an_empty_file_skips_a_letter_and_a_broken_one_is_refused() {
        let one = letter("m-1", BODY);
        assert_eq!(edits(EditBy::Letter, ": >", &[&one]).await.unwrap().of(&one), Edit::Skipped);
        let table = [
            ("false", "ended with exit status: 1"),
            ("echo '{' >", "no JSON"),
            ("/nowhere/editor", "ended with exit status: 127"),
        ];
        for (editor, hint) in table {
            let error = edits(EditBy::Letter, editor, &[&one]).await.unwrap_err().to_string();
            assert!(error.contains(hint), "{editor}: {error}");
        }
    }

    #[tokio::test]
    async fn a_body_that_is_no_json_is_edited_as_it_is() {
        let raw = letter("m-1", "user 17");
        let edits = edits(EditBy::Letter, "sed -i 's/17/7/;$a\\'", &[&raw]).await.unwrap();
        assert_eq!(fixed(&edits, &raw).as_deref(), Some("user 7"));
    }

    #[test]
    fn only_its_owner_can_read_the_file() {
        let mode = edited("stat -c %a \"$1\" >", "x", ".json").map_err(|error| error.to_string());
        assert_eq!(mode.as_deref().map(str::trim), Ok("600"));
    }
}
