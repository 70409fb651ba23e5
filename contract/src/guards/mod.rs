//! The guards that a payload passes before it is sent: secrets, personal data and long texts do not belong in a queue, which keeps them for
//! days, shows them in consoles, and copies them into dead letters and exports. References belong into payloads.
//!
//! They are pure functions of a job type and a payload. Their [tables] are constants, from which the clients in other languages are
//! generated.

mod allowance;
mod card;
mod email;
mod finding;
mod inspection;
mod jwt;
mod kind;
mod names;
mod pointer;
mod schema_guard;
mod secret;
pub mod tables;
mod walk;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

use serde_json::Value;

pub use allowance::{Allowance, InvalidAllowance};
pub use finding::Finding;
pub use inspection::push_name;
pub use kind::{Action, FindingKind, Severity};
pub use names::normalized;
pub use pointer::field;
pub use schema_guard::{InvalidSchema, SchemaGuard, SchemaProblem};

use inspection::Inspection;

/// What a payload may have.
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
    /// Refuses payloads with names of secrets, JSON Web Tokens and card numbers, too. Personal data and long texts are warnings.
    pub fn deny() -> Self {
        let denied = [FindingKind::SecretName, FindingKind::Jwt, FindingKind::CardNumber];
        denied.into_iter().fold(Self::default(), |guards, kind| guards.on(kind, Action::Deny))
    }

    /// Finds nothing but secrets, which stay errors.
    pub fn secrets_only() -> Self {
        let off = FindingKind::ALL.into_iter().filter(|kind| *kind != FindingKind::Secret);
        off.fold(Self::default(), |guards, kind| guards.on(kind, Action::Off))
    }

    /// Finds nothing at all.
    pub fn none() -> Self {
        Self { actions: [Action::Off; FindingKind::ALL.len()], allowances: Vec::new() }
    }

    /// Sets what happens on findings of a kind.
    pub fn on(mut self, kind: FindingKind, action: Action) -> Self {
        self.actions[kind.index()] = action;
        self
    }

    /// Lets a field have what the guards would find in it.
    pub fn allow(mut self, allowance: Allowance) -> Self {
        self.allowances.push(allowance);
        self
    }

    /// Returns the findings in the payload of a job of this type, at most [`MAX_FINDINGS_PER_KIND`](tables::MAX_FINDINGS_PER_KIND) of each
    /// kind, in the order of the payload. A field with a secret or a JSON Web Token is not reported for its name as well.
    ///
    /// Names of fields are inspected like values: a map may have addresses or tokens as its keys.
    pub fn inspect(&self, job_type: &str, payload: &Value) -> Vec<Finding> {
        if self.actions.iter().all(|action| *action == Action::Off) {
            return Vec::new();
        }
        let mut inspection = Inspection::new(self, job_type);
        walk::walk(payload, &mut inspection);
        inspection.findings
    }

    pub(crate) fn action(&self, kind: FindingKind) -> Action {
        self.actions[kind.index()]
    }

    fn is_allowed(&self, job_type: &str, pointer: &str, kind: FindingKind) -> bool {
        self.allowances.iter().any(|allowance| allowance.allows(job_type, pointer, kind))
    }
}
