//! An order of an operator, as checked JSON.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use drumline::core::{MAX_CONCURRENCY, RateOrder};
use drumline_runtime::is_unseen;
use serde::{Deserialize, Serialize};

use super::rate_text::RateText;

/// The maximum length of the operator's name, in characters.
pub const MAX_BY: usize = 100;

/// The maximum length of the reason for an order, in characters.
pub const MAX_WHY: usize = 500;

/// The maximum duration of an order with an end. An order without an end lasts longer.
pub const MAX_LASTING: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The maximum size of the name of a queue or a type, in bytes.
const MAX_NAME: usize = 240;

/// The target of an order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A queue, by its name.
    Queue(String),
    /// A job type, in all queues of a worker.
    Type(String),
}

impl Target {
    /// Returns the name of its document in a store.
    pub fn document(&self) -> String {
        match self {
            Self::Queue(name) => format!("queue:{name}"),
            Self::Type(name) => format!("type:{name}"),
        }
    }

    /// Returns the target for a document's name; `None` if the name is not of this version.
    pub fn of_document(name: &str) -> Option<Self> {
        let (kind, name) = name.split_once(':')?;
        match kind {
            "queue" => Some(Self::Queue(name.to_owned())),
            "type" => Some(Self::Type(name.to_owned())),
            _ => None,
        }
    }

    /// Returns the queue or the type, for logs.
    pub(super) fn parts(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Queue(name) => (Some(name), None),
            Self::Type(name) => (None, Some(name)),
        }
    }

    /// Returns the name of the queue or the type.
    pub fn name(&self) -> &str {
        let (Self::Queue(name) | Self::Type(name)) = self;
        name
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue(name) => write!(f, "queue {name}"),
            Self::Type(name) => write!(f, "type {name}"),
        }
    }
}

/// An action that an operator requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Stops receives from a queue, or starts of a type.
    Pause,
    /// Ends the pause.
    Resume,
    /// Sets the number of concurrent runs.
    Concurrency(NonZeroUsize),
    /// Sets the rate at which jobs start.
    Rate(RateOrder),
    /// Restores the values of the settings.
    Reset,
}

impl Action {
    /// Returns the action's name in JSON and in logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Concurrency(_) => "concurrency",
            Self::Rate(_) => "rate",
            Self::Reset => "reset",
        }
    }
}

/// An order of an operator.
///
/// ```
/// use drumline_consumer::control::{Action, Order, Target};
/// let order: Order = serde_json::from_str(r#"{"queue":"jobs","action":"pause","by":"ada","why":"bad deploy"}"#)?;
/// assert_eq!((order.target, order.action), (Target::Queue("jobs".into()), Action::Pause));
/// assert!(serde_json::from_str::<Order>(r#"{"queue":"jobs","action":"rate","rate":"5/s","by":"ada"}"#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "OrderJson", into = "OrderJson")]
pub struct Order {
    /// The target.
    pub target: Target,
    /// The requested action.
    pub action: Action,
    /// The name of the operator.
    pub by: String,
    /// The reason.
    pub why: Option<String>,
    /// The duration of the order; `None` if it has no end.
    pub lasts: Option<Duration>,
}

/// An order as JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OrderJson {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    job_type: Option<String>,
    action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    concurrency: Option<NonZeroUsize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate: Option<String>,
    by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    for_secs: Option<u64>,
}

/// The reason why an order is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidOrder(pub(super) String);

impl fmt::Display for InvalidOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidOrder {}

impl Order {
    /// Returns the order if it is valid.
    ///
    /// # Errors
    /// If a text is too long or has control characters, if a number is out of its bounds, or if the action does not suit the
    /// target.
    pub fn checked(self) -> Result<Self, InvalidOrder> {
        let fails = |text: String| Err(InvalidOrder(text));
        let name = self.target.name();
        if name.is_empty() || name.len() > MAX_NAME || name.chars().any(is_unseen) {
            return fails(format!(
                "a queue or type has a name of 1 to {MAX_NAME} bytes without control characters"
            ));
        }
        check_text("by", &self.by, MAX_BY)?;
        if let Some(why) = &self.why {
            check_text("why", why, MAX_WHY)?;
        }
        match (&self.target, self.action) {
            (_, Action::Concurrency(count)) if count.get() > MAX_CONCURRENCY => {
                return fails(format!("concurrency is at most {MAX_CONCURRENCY}"));
            }
            (Target::Queue(_), Action::Rate(_)) => {
                return fails("a rate is one of a job type: name a type".to_owned());
            }
            _ => {}
        }
        match self.lasts {
            Some(_) if matches!(self.action, Action::Resume | Action::Reset) => {
                fails("what is withdrawn has no end".to_owned())
            }
            Some(lasts) if lasts.is_zero() || lasts > MAX_LASTING => {
                fails("an order lasts 1 second to 90 days".to_owned())
            }
            _ => Ok(self),
        }
    }
}

pub(super) fn check_text(name: &str, text: &str, longest: usize) -> Result<(), InvalidOrder> {
    if text.trim().is_empty() || text.chars().count() > longest || text.chars().any(is_unseen) {
        return Err(InvalidOrder(format!(
            "{name} is a text of 1 to {longest} characters on one line, without control characters"
        )));
    }
    Ok(())
}

impl TryFrom<OrderJson> for Order {
    type Error = InvalidOrder;

    fn try_from(json: OrderJson) -> Result<Self, InvalidOrder> {
        let OrderJson { queue, job_type, action, concurrency, rate, by, why, for_secs } = json;
        let fails = |text: &str| Err(InvalidOrder(text.to_owned()));
        let target = match (queue, job_type) {
            (Some(name), None) => Target::Queue(name),
            (None, Some(name)) => Target::Type(name),
            _ => return fails("name a queue or a type, and not both"),
        };
        let action = match (&*action, concurrency, rate) {
            ("pause", None, None) => Action::Pause,
            ("resume", None, None) => Action::Resume,
            ("reset", None, None) => Action::Reset,
            ("concurrency", Some(count), None) => Action::Concurrency(count),
            ("rate", None, Some(rate)) => {
                let RateText(rate) = RateText::try_from(rate).map_err(InvalidOrder)?;
                Action::Rate(rate)
            }
            _ => {
                return fails(
                    "the action is pause, resume, reset, concurrency with a number `concurrency`, or rate with a text `rate`",
                );
            }
        };
        Self { target, action, by, why, lasts: for_secs.map(Duration::from_secs) }.checked()
    }
}

impl From<Order> for OrderJson {
    fn from(order: Order) -> Self {
        let Order { target, action, by, why, lasts } = order;
        let (queue, job_type) = match target {
            Target::Queue(name) => (Some(name), None),
            Target::Type(name) => (None, Some(name)),
        };
        let (concurrency, rate) = match action {
            Action::Concurrency(count) => (Some(count), None),
            Action::Rate(rate) => (None, Some(RateText(rate).to_string())),
            Action::Pause | Action::Resume | Action::Reset => (None, None),
        };
        let for_secs = lasts.map(|lasts| lasts.as_secs());
        Self { queue, job_type, action: action.label().to_owned(), concurrency, rate, by, why, for_secs }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn read(json: Value) -> Result<Order, String> {
        serde_json::from_value(json).map_err(|error| error.to_string())
    }

    #[test]
    fn an_order_is_json_and_back() {
        for json in [
            json!({"queue": "jobs", "action": "pause", "by": "ada@ops", "why": "bad deploy", "forSecs": 1800}),
            json!({"type": "email.send", "action": "resume", "by": "ada"}),
            json!({"queue": "jobs", "action": "concurrency", "concurrency": 5, "by": "ada"}),
            json!({"type": "email.send", "action": "rate", "rate": "50/s", "by": "ada"}),
            json!({"type": "email.send", "action": "rate", "rate": "off", "by": "ada"}),
            json!({"type": "email.send", "action": "reset", "by": "ada"}),
        ] {
            assert_eq!(serde_json::to_value(read(json.clone()).unwrap()).unwrap(), json);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_reason() {
        let long = "x".repeat(MAX_WHY + 1);
        let table = [
            (json!({"action": "pause", "by": "ada"}), "name a queue or a type"),
            (json!({"queue": "a", "type": "b", "action": "pause", "by": "ada"}), "and not both"),
            (json!({"queue": "", "action": "pause", "by": "ada"}), "a name of 1 to 240 bytes"),
            (json!({"queue": "a", "action": "stop", "by": "ada"}), "the action is pause"),
            (json!({"queue": "a", "action": "pause", "concurrency": 3, "by": "ada"}), "the action is pause"),
            (json!({"queue": "a", "action": "concurrency", "concurrency": 0, "by": "ada"}), "nonzero"),
            (
                json!({"queue": "a", "action": "concurrency", "concurrency": 10_001, "by": "ada"}),
                "at most 10000",
            ),
            (json!({"queue": "a", "action": "rate", "rate": "5/s", "by": "ada"}), "name a type"),
            (json!({"type": "a", "action": "rate", "rate": "fast", "by": "ada"}), "such as 50/s"),
            (json!({"queue": "a", "action": "pause"}), "missing field `by`"),
            (json!({"queue": "a", "action": "pause", "by": " "}), "by is a text of 1 to 100 characters"),
            (json!({"queue": "a", "action": "pause", "by": "ada\u{1b}[2J"}), "by is a text"),
            (json!({"queue": "a", "action": "pause", "by": "ada", "why": "a\nb"}), "why is a text"),
            (json!({"queue": "a", "action": "pause", "by": "ada", "why": long}), "why is a text of 1 to 500"),
            (json!({"queue": "a", "action": "pause", "by": "ada", "forSecs": 0}), "1 second to 90 days"),
            (json!({"queue": "a", "action": "resume", "by": "ada", "forSecs": 9}), "has no end"),
            (json!({"queue": "a", "action": "pause", "by": "ada", "everywhere": true}), "unknown field"),
        ];
        for (json, words) in table {
            let error = read(json.clone()).unwrap_err();
            assert!(error.contains(words), "{json}: {error}");
        }
    }

    #[test]
    fn a_target_is_the_name_of_a_document() {
        for target in [Target::Queue("jobs".into()), Target::Type("a:b.c".into())] {
            assert_eq!(Target::of_document(&target.document()), Some(target));
        }
        assert_eq!(Target::of_document("worker:1"), None);
        assert_eq!(Target::of_document("jobs"), None);
    }
}
