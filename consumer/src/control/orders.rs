//! The active orders for one queue or type, each with its operator, time and reason: the contents of a document of the store.

use std::num::NonZeroUsize;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::order::{Action, Order};
use super::rate_text::RateText;

/// The operator, time, reason and end of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// The name of the operator.
    pub by: String,
    /// The reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The time of the order, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The end; `None` if it has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
}

impl Note {
    fn has_ended(&self, now_ms: u64) -> bool {
        self.until_ms.is_some_and(|until| until <= now_ms)
    }
}

/// An order for a number of concurrent runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConcurrencyOrder {
    /// The number.
    pub value: NonZeroUsize,
    /// The operator, time and reason.
    #[serde(flatten)]
    pub note: Note,
}

/// An order for a rate, or for no rate limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateNote {
    /// The rate, such as `50/s`, or `off`.
    pub value: RateText,
    /// The operator, time and reason.
    #[serde(flatten)]
    pub note: Note,
}

/// The last order that was given for a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The [label](Action::label) of its action.
    pub action: String,
    /// The operator, time and reason.
    #[serde(flatten)]
    pub note: Note,
}

/// The active orders for one target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Orders {
    /// The pause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<Note>,
    /// The number of concurrent runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<ConcurrencyOrder>,
    /// The rate of job starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateNote>,
    /// The last order, including orders that withdrew others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Change>,
}

impl Orders {
    /// Returns true if no order is active.
    pub fn is_empty(&self) -> bool {
        self.paused.is_none() && self.concurrency.is_none() && self.rate.is_none()
    }

    /// Applies an order that is given now.
    pub fn give(&mut self, order: &Order, now_ms: u64) {
        let until =
            |lasts: Duration| now_ms.saturating_add(u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX));
        let note = Note {
            by: order.by.clone(),
            why: order.why.clone(),
            at_ms: now_ms,
            until_ms: order.lasts.map(until),
        };
        self.last = Some(Change { action: order.action.label().to_owned(), note: note.clone() });
        match order.action {
            Action::Pause => self.paused = Some(note),
            Action::Resume => self.paused = None,
            Action::Concurrency(value) => self.concurrency = Some(ConcurrencyOrder { value, note }),
            Action::Rate(rate) => self.rate = Some(RateNote { value: RateText(rate), note }),
            Action::Reset => (self.paused, self.concurrency, self.rate) = (None, None, None),
        }
    }

    /// Removes the expired orders. Returns their actions.
    pub fn end(&mut self, now_ms: u64) -> Vec<&'static str> {
        let mut ended = Vec::new();
        if self.paused.take_if(|note| note.has_ended(now_ms)).is_some() {
            ended.push("pause");
        }
        if self.concurrency.take_if(|order| order.note.has_ended(now_ms)).is_some() {
            ended.push("concurrency");
        }
        if self.rate.take_if(|order| order.note.has_ended(now_ms)).is_some() {
            ended.push("rate");
        }
        ended
    }

    /// Returns the next end of an order.
    pub fn next_end(&self) -> Option<u64> {
        let notes = [
            self.paused.as_ref(),
            self.concurrency.as_ref().map(|order| &order.note),
            self.rate.as_ref().map(|order| &order.note),
        ];
        notes.into_iter().flatten().filter_map(|note| note.until_ms).min()
    }

    /// Returns the last end of an order; `None` if one has no end.
    pub fn last_end(&self) -> Option<u64> {
        let notes = [
            self.paused.as_ref(),
            self.concurrency.as_ref().map(|order| &order.note),
            self.rate.as_ref().map(|order| &order.note),
        ];
        notes.into_iter().flatten().try_fold(0, |last, note| Some(note.until_ms?.max(last)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use drumline::core::RateOrder;

    use super::*;
    use crate::control::Target;

    fn order(action: Action, lasts: Option<u64>) -> Order {
        let lasts = lasts.map(Duration::from_secs);
        Order { target: Target::Type("mail".into()), action, by: "ada".into(), why: None, lasts }
    }

    #[test]
    fn each_order_is_independent_of_the_others_until_it_ends() {
        let mut orders = Orders::default();
        assert!(orders.is_empty() && orders.last_end() == Some(0));
        orders.give(&order(Action::Pause, Some(60)), 1_000);
        orders.give(&order(Action::Concurrency(NonZeroUsize::new(5).unwrap()), None), 2_000);
        orders.give(&order(Action::Rate(RateOrder::Off), Some(10)), 3_000);
        assert_eq!((orders.next_end(), orders.last_end()), (Some(13_000), None));
        assert_eq!(orders.end(12_999), [""; 0]);
        assert_eq!(orders.end(61_000), ["pause", "rate"]);
        assert!(!orders.is_empty());
        orders.give(&order(Action::Reset, None), 70_000);
        assert!(orders.is_empty());
        assert_eq!(orders.last.unwrap().action, "reset");
    }

    #[test]
    fn they_are_json_of_which_later_versions_may_have_more() {
        let mut orders = Orders::default();
        orders.give(&order(Action::Rate(RateOrder::At("50/s".parse().unwrap())), None), 1_000);
        orders.give(&order(Action::Pause, Some(60)), 2_000);
        let text = serde_json::to_string(&orders).unwrap();
        assert_eq!(
            text,
            r#"{"paused":{"by":"ada","atMs":2000,"untilMs":62000},"rate":{"value":"50/s","by":"ada","atMs":1000},"last":{"action":"pause","by":"ada","atMs":2000,"untilMs":62000}}"#
        );
        let more = text.replacen('{', r#"{"later":[1],"#, 1);
        assert_eq!(serde_json::from_str::<Orders>(&more).unwrap(), orders);
    }
}
