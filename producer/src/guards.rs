//! The guards of the settings, and their warnings: each warning is given once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use drumline_contract::guards::{Action, Allowance, Finding, FindingKind, Guards};
use drumline_runtime::{GuardMode, GuardSettings};
use tracing::warn;

/// The largest number of job types whose warnings are remembered. Further types get no warnings: names that a program generates
/// would fill the log.
const MAX_TYPES: usize = 1_000;

/// The largest number of fields of a type with warnings of one kind. A map by user id has a field for each user.
const MAX_FIELDS: usize = 10;

/// Returns the guards that the settings describe.
pub(crate) fn guards(settings: &GuardSettings) -> Guards {
    let guards = match settings.mode {
        GuardMode::Deny => Guards::deny(),
        GuardMode::Off => Guards::secrets_only(),
        _ => Guards::default(),
    };
    let kind = |name: &str| FindingKind::from_name(name).expect("the settings know the kinds of the guards");
    let by_kind = settings.by_kind.iter().map(|(name, mode)| (kind(name), action(*mode)));
    let guards = by_kind.fold(guards, |guards, (kind, action)| guards.on(kind, action));
    let allowances = settings.allow.iter().map(|of| {
        let allowance = Allowance::new(&*of.job_type, &*of.pointer);
        of.kind.map(kind).map_or(allowance.clone(), |kind| allowance.of_kind(kind))
    });
    allowances.fold(guards, Guards::allow)
}

fn action(mode: GuardMode) -> Action {
    match mode {
        GuardMode::Deny => Action::Deny,
        GuardMode::Off => Action::Off,
        _ => Action::Warn,
    }
}

/// The warnings that were given, by job type.
#[derive(Debug, Default)]
pub(crate) struct GivenWarnings {
    by_type: Mutex<HashMap<String, Vec<(FindingKind, String)>>>,
}

impl GivenWarnings {
    /// Returns true if this warning is new: no field of the type with the same pattern had one of the same kind.
    pub(crate) fn is_new(&self, finding: &Finding) -> bool {
        let mut by_type = self.by_type.lock().unwrap_or_else(PoisonError::into_inner);
        if !by_type.contains_key(&finding.job_type) && by_type.len() >= MAX_TYPES {
            return false;
        }
        let given = by_type.entry(finding.job_type.clone()).or_default();
        let pattern = finding.pattern();
        let of_kind = given.iter().filter(|(kind, _)| *kind == finding.kind);
        if of_kind.clone().count() >= MAX_FIELDS || of_kind.into_iter().any(|(_, field)| *field == pattern) {
            return false;
        }
        given.push((finding.kind, pattern));
        true
    }
}

/// Logs a warning, without the value.
pub(crate) fn log(finding: &Finding) {
    let (field, kind, advice) = (finding.field(), finding.kind.name(), finding.to_string());
    warn!(r#type = &*finding.job_type, field, kind, advice, "payload field should not be queued");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use drumline_runtime::{GUARD_KINDS, GuardAllowance, Settings};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_settings_know_the_kinds_of_the_guards() {
        assert_eq!(GUARD_KINDS, FindingKind::ALL.map(FindingKind::name));
    }

    #[test]
    fn guards_are_as_they_are_set() {
        let payload = json!({"password": "hunter2", "to": "ada@example.com", "key": "AKIAIOSFODNN7EXAMPLE"});
        let inspect =
            |mode, by_kind: &[(&'static str, GuardMode)], allow: &[(&str, Option<&'static str>)]| {
                let allow = allow.iter().map(|(pointer, kind)| GuardAllowance {
                    job_type: "a.b".to_owned(),
                    pointer: (*pointer).to_owned(),
                    kind: *kind,
                });
                let settings = GuardSettings { mode, by_kind: by_kind.to_vec(), allow: allow.collect() };
                let findings = guards(&settings).inspect("a.b", &payload);
                findings.iter().map(|of| format!("{} {}", of.kind, of.is_error())).collect::<Vec<_>>()
            };
        let all = ["secret true", "secret_name false", "personal_data false"];
        assert_eq!(inspect(GuardMode::Warn, &[], &[]), all);
        assert_eq!(
            inspect(GuardMode::Deny, &[], &[]),
            ["secret true", "secret_name true", "personal_data false"]
        );
        assert_eq!(inspect(GuardMode::Off, &[], &[]), ["secret true"]);
        assert_eq!(inspect(GuardMode::Off, &[], &[("/key", None)]), Vec::<String>::new());
        assert_eq!(inspect(GuardMode::Warn, &[], &[("/key", Some("jwt"))]), all);
        let strict = [("personal_data", GuardMode::Deny), ("secret_name", GuardMode::Off)];
        assert_eq!(inspect(GuardMode::Warn, &strict, &[]), ["secret true", "personal_data true"]);
    }

    #[test]
    fn a_warning_is_given_once_for_a_type_a_kind_and_a_field() {
        let given = GivenWarnings::default();
        let new = |job_type: &str, payload: serde_json::Value| {
            let findings = Guards::default().inspect(job_type, &payload);
            findings
                .iter()
                .filter(|finding| given.is_new(finding))
                .map(|of| of.pointer.clone())
                .collect::<Vec<_>>()
        };
        let two = json!({"to": ["ada@example.com", "bob@example.com"]});
        assert_eq!(new("a", two.clone()), ["/to/0"]);
        assert_eq!(new("a", two.clone()), [""; 0]);
        assert_eq!(
            new("a", json!({"cc": "ada@example.com", "to": [{"password": "x"}]})),
            ["/cc", "/to/0/password"]
        );
        assert_eq!(new("b", two), ["/to/0"]);
    }

    #[test]
    fn what_is_remembered_of_warnings_is_bounded() {
        let given = GivenWarnings::default();
        let mut count = 0;
        for n in 0..2 * MAX_TYPES {
            let job_type = format!("type{n}");
            let payload = json!({"a": "ada@example.com"});
            count +=
                Guards::default().inspect(&job_type, &payload).iter().filter(|of| given.is_new(of)).count();
        }
        assert_eq!(count, MAX_TYPES);
        let fields = (0..2 * MAX_FIELDS).map(|n| (format!("user{n}"), json!("ada@example.com"))).collect();
        let findings = Guards::default().inspect("type0", &serde_json::Value::Object(fields));
        assert_eq!(findings.iter().filter(|of| given.is_new(of)).count(), MAX_FIELDS - 1);
    }

    proptest! {
        /// The settings parse an allowed field like the guards do.
        #[test]
        fn settings_and_guards_agree_on_allowances(text in "[a-z*:/=_ ]{0,12}(=personal_data|:/|:)?[a-z/*]{0,6}") {
            prop_assume!(!text.trim().is_empty());
            let of_settings = Settings::read_for_tool(
                &[("guard_allow".to_owned(), text.clone())].into(),
                |_| None,
                None,
            );
            let of_guards = text.trim().parse::<Allowance>();
            prop_assert_eq!(of_settings.is_ok(), of_guards.is_ok(), "{}", text);
            if let (Ok(settings), Ok(allowance)) = (of_settings, of_guards) {
                let expected = Guards::default().allow(allowance);
                prop_assert_eq!(guards(&settings.guards), expected);
            }
        }
    }
}
