//! The changes of letters on their way: flags, and what they do to a letter.

use std::path::PathBuf;

use drumline::message::Intake;
use drumline_consumer::ExitError;
use drumline_dlq::Letter;
use drumline_dlq::diff::changes;
use drumline_dlq::fix::{Fix, Fixed, apply};
use drumline_dlq::journal::{FileMark, Left};

/// Letters whose changes are shown before they are sent.
const SHOWN: usize = 20;

/// The changes of letters on their way.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct ChangeArgs {
    /// Set a value in the body at a JSON pointer; several may be set
    ///
    /// The value is JSON if it can be read as such, else a text. Missing objects are made. The pointer may lead into a text that is
    /// JSON, as the Message of an SNS notification.
    #[arg(long = "set", value_name = "/POINTER=VALUE")]
    sets: Vec<Fix>,
    /// Apply the JSON patch (an array, RFC 6902) or the merge patch (an object, RFC 7396) in this file to the body; several may be
    /// named
    #[arg(long = "patch", value_name = "FILE")]
    patches: Vec<PathBuf>,
    /// Change the job's type, in the envelope or in the attribute messageType
    #[arg(long, value_name = "TYPE")]
    type_to: Option<String>,
}

impl ChangeArgs {
    /// Reads the patches, which a resumed action must find as they were when it began.
    pub(super) fn read(&self, begun: Option<&[FileMark]>) -> Result<Changes, ExitError> {
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
        fixes.extend(self.type_to.as_deref().map(Fix::type_to));
        Ok(Changes { fixes, files: marks, preview: None })
    }
}

/// What the flags do to a letter.
#[derive(Debug)]
pub(super) struct Changes {
    /// Patches before values before the type: what is said most plainly has the last word.
    fixes: Vec<Fix>,
    /// The files of the patches.
    pub(super) files: Vec<FileMark>,
    preview: Option<Vec<String>>,
}

/// A letter that cannot be changed, and why.
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

    /// The changes of the first letters, a text for each.
    pub(super) fn preview(&self) -> &[String] {
        self.preview.as_deref().unwrap_or_default()
    }

    /// Changes a letter.
    pub(super) fn apply(&mut self, letter: &Letter, intake: &Intake) -> Result<Fixed, Unfixable> {
        if self.fixes.is_empty() {
            return Ok(Fixed::default());
        }
        let fixed = apply(letter, &self.fixes, intake)
            .map_err(|error| Unfixable { why: Left::Inapplicable, text: error.to_string() })?;
        if !fixed.is_changed() {
            let why = Left::Unchanged;
            return Err(Unfixable { why, text: why.to_string() });
        }
        if let Some(preview) = self.preview.as_mut().filter(|preview| preview.len() < SHOWN) {
            let lines: Vec<String> = changes(letter, &fixed).iter().map(ToString::to_string).collect();
            preview.push(format!("{}\n{}", letter.message().id, lines.join("\n")));
        }
        Ok(fixed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write as _;

    use clap::{Args, Command, FromArgMatches};
    use drumline::message::Message;

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

    #[test]
    fn a_letter_is_changed_or_stays_with_a_reason() {
        let mut patch = tempfile::NamedTempFile::new().unwrap();
        patch.write_all(br#"{"payload":{"userId":1,"n":2}}"#).unwrap();
        let file = patch.path().to_str().unwrap();
        let mut changes =
            args(&["--set", "/payload/userId=7", "--patch", file, "--type-to", "a.b"]).read(None).unwrap();
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
            !args(&[]).read(None).unwrap().apply(&letter("raw"), &Intake::default()).unwrap().is_changed()
        );
    }

    #[test]
    fn a_resumed_action_refuses_a_patch_that_has_changed() {
        let mut patch = tempfile::NamedTempFile::new().unwrap();
        patch.write_all(b"{}").unwrap();
        let args = args(&["--patch", patch.path().to_str().unwrap()]);
        let files = args.read(None).unwrap().files;
        assert!(args.read(Some(&files)).is_ok());
        patch.write_all(b" ").unwrap();
        assert!(args.read(Some(&files)).unwrap_err().to_string().contains("has changed"));
        drop(patch);
        assert!(args.read(None).is_err());
    }
}
