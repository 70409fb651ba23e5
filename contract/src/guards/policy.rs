//! The actions on findings, by kind and by field.

use super::allowance::Allowance;
use super::kind::{Action, FindingKind};

/// The rules for the content of payloads.
///
/// By default secrets are errors, and all other findings are warnings.
///
/// ```
/// use drumline_contract::guards::{Action, Allowance, FindingKind, Guards};
/// use serde_json::json;
///
/// let payload = json!({"to": "ada@example.com", "password": "hunter2"});
/// let guards = Guards::default().allow(Allowance::new("email.send", "/to"));
/// let findings = guards.inspect("email.send", &payload);
/// assert_eq!((findings.len(), findings[0].pointer.as_str()), (1, "/password"));
/// assert!(!findings[0].is_error());
///
/// let strict = guards.on(FindingKind::SecretName, Action::Deny);
/// assert!(strict.inspect("email.send", &payload)[0].is_error());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guards {
    actions: [Action; FindingKind::ALL.len()],
    allowances: Vec<Allowance>,
}

impl Default for Guards {
    fn default() -> Self {
        Self { actions: [Action::Warn; FindingKind::ALL.len()], allowances: Vec::new() }
            .on(FindingKind::Secret, Action::Deny)
    }
}

impl Guards {
    /// Also refuses payloads with names of secrets, JSON Web Tokens and card numbers. Personal data and long texts remain
    /// warnings.
    pub fn deny() -> Self {
        let denied = [FindingKind::SecretName, FindingKind::Jwt, FindingKind::CardNumber];
        denied.into_iter().fold(Self::default(), |guards, kind| guards.on(kind, Action::Deny))
    }

    /// Inspects only secrets, which remain errors.
    pub fn secrets_only() -> Self {
        let off = FindingKind::ALL.into_iter().filter(|kind| *kind != FindingKind::Secret);
        off.fold(Self::default(), |guards, kind| guards.on(kind, Action::Off))
    }

    /// Inspects nothing.
    pub fn none() -> Self {
        Self { actions: [Action::Off; FindingKind::ALL.len()], allowances: Vec::new() }
    }

    /// Sets the action for findings of a kind.
    pub fn on(mut self, kind: FindingKind, action: Action) -> Self {
        self.actions[kind.index()] = action;
        self
    }

    /// Allows findings in a field.
    pub fn allow(mut self, allowance: Allowance) -> Self {
        self.allowances.push(allowance);
        self
    }

    pub(crate) fn action(&self, kind: FindingKind) -> Action {
        self.actions[kind.index()]
    }

    pub(super) fn is_allowed(&self, job_type: &str, pointer: &str, kind: FindingKind) -> bool {
        self.allowances.iter().any(|allowance| allowance.allows(job_type, pointer, kind))
    }
}
