//! The settings of the guards that check payloads before they are sent.

use super::reader::Reader;

/// The kinds of findings in a setting. Secrets are always refused, unless the field is allowed.
pub const GUARD_KINDS: [&str; 6] =
    ["secret", "secret_name", "jwt", "card_number", "personal_data", "long_text"];

/// The reaction to a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GuardMode {
    /// The finding is reported, and the payload is sent.
    Warn,
    /// The payload is refused.
    Deny,
    /// The kind is not searched for.
    Off,
}

/// The settings of the payload guards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardSettings {
    /// The reaction to findings. Secrets are refused in all modes, and personal data and long texts are only warnings unless
    /// [`by_kind`](Self::by_kind) contains them.
    pub mode: GuardMode,
    /// The reaction to findings of single kinds, by names of [`GUARD_KINDS`].
    pub by_kind: Vec<(&'static str, GuardMode)>,
    /// The fields in which findings are allowed.
    pub allow: Vec<GuardAllowance>,
}

/// A field in which findings are allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardAllowance {
    /// The job type, or `*`.
    pub job_type: String,
    /// The field, as a JSON pointer in which `*` stands for an index or a name.
    pub pointer: String,
    /// The kind that is allowed; `None` for all.
    pub kind: Option<&'static str>,
}

impl Default for GuardSettings {
    fn default() -> Self {
        Self { mode: GuardMode::Warn, by_kind: Vec::new(), allow: Vec::new() }
    }
}

impl Reader<'_> {
    pub(super) fn guards(&mut self) -> Option<GuardSettings> {
        let modes = self.get("guards", None, modes);
        let allow = self.get("guard_allow", None, allowances).unwrap_or_default();
        let (mode, by_kind) = modes?;
        Some(GuardSettings { mode, by_kind, allow })
    }
}

/// The reaction to all findings, and to those of single kinds.
type Modes = (GuardMode, Vec<(&'static str, GuardMode)>);

/// Reads `warn`, `deny` or `off`, then any number of `KIND=MODE`.
fn modes(text: &str) -> Result<Modes, String> {
    let mut parts = text.split(',').map(str::trim);
    let first = mode(parts.next().unwrap_or_default())?;
    let by_kind = parts.map(|part| {
        let (name, text) = part.split_once('=').ok_or_else(|| format!("{part:?} is not KIND=MODE"))?;
        match kind(name.trim()) {
            Some("secret") => {
                Err("secrets are always refused: name the fields that may have some in guard_allow"
                    .to_owned())
            }
            Some(kind) => Ok((kind, mode(text.trim())?)),
            None => Err(format!("{name:?} is none of {}", GUARD_KINDS.join(", "))),
        }
    });
    Ok((first, by_kind.collect::<Result<_, _>>()?))
}

fn mode(text: &str) -> Result<GuardMode, String> {
    match text {
        "warn" => Ok(GuardMode::Warn),
        "deny" => Ok(GuardMode::Deny),
        "off" => Ok(GuardMode::Off),
        _ => {
            Err("must be warn, deny or off, and may go on with KIND=MODE such as personal_data=deny"
                .to_owned())
        }
    }
}

fn kind(name: &str) -> Option<&'static str> {
    GUARD_KINDS.into_iter().find(|kind| *kind == name)
}

fn allowances(text: &str) -> Result<Vec<GuardAllowance>, String> {
    let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
    texts.map(allowance).collect()
}

fn allowance(given: &str) -> Result<GuardAllowance, String> {
    let is_form = || format!("{given:?} is not TYPE:/pointer or TYPE:/pointer=KIND");
    // A pointer may contain an equals sign. Lower-case letters after the last one are read as a kind, so that a misspelt kind
    // is refused.
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let (text, kind) = match given.rsplit_once('=').filter(|(_, name)| is_name(name)) {
        Some((text, name)) => {
            let unknown = || format!("{given:?}: {name:?} is none of {}", GUARD_KINDS.join(", "));
            (text, Some(kind(name).ok_or_else(unknown)?))
        }
        None => (given, None),
    };
    // A type may be a URI, so the last colon before a slash counts. Without a pointer it is the payload itself.
    let (job_type, pointer) = match text.strip_suffix(':') {
        Some(job_type) => (job_type, ""),
        None => text.rfind(":/").map(|at| (&text[..at], &text[at + 1..])).ok_or_else(is_form)?,
    };
    let allowance = GuardAllowance { job_type: job_type.to_owned(), pointer: pointer.to_owned(), kind };
    if job_type.is_empty() { Err(is_form()) } else { Ok(allowance) }
}
