//! Applies operators to known values.

use std::cmp::Ordering;

use hcl::expr::{BinaryOperator, Expression, TraversalOperator};
use serde_json::Value;

use super::evaluated::Evaluated;
use crate::value::{int, number, plain, truth};

/// Applies attributes, indices and splats, one after the other. `within` evaluates an index.
pub(super) fn apply(
    from: Evaluated,
    operators: &[TraversalOperator],
    within: &dyn Fn(&Expression) -> Evaluated,
) -> Evaluated {
    let Some((first, rest)) = operators.split_first() else { return from };
    let part = match first {
        TraversalOperator::GetAttr(name) => from.get(name.as_str()),
        TraversalOperator::Index(index) => from.get(&plain(&within(index).value)),
        TraversalOperator::LegacyIndex(index) => from.get(&index.to_string()),
        TraversalOperator::AttrSplat | TraversalOperator::FullSplat => {
            return splat(&from, rest, within);
        }
    };
    match part {
        Some(part) => apply(part, rest, within),
        None if from.is_null() => from,
        None => Evaluated::unknown("part", &[from]),
    }
}

/// Applies a splat. A value that is not a list counts as a list of one, and null as an empty list.
fn splat(
    from: &Evaluated,
    rest: &[TraversalOperator],
    within: &dyn Fn(&Expression) -> Evaluated,
) -> Evaluated {
    let items = match &from.value {
        Value::Array(_) => from.items(),
        Value::Null => Vec::new(),
        Value::String(_) => return Evaluated::unknown("splat", std::slice::from_ref(from)),
        _ => vec![from.clone()],
    };
    Evaluated::array(items.into_iter().map(|item| apply(item, rest, within)))
}

pub(super) fn negated(value: &Value) -> Option<Value> {
    int(value)
        .and_then(i64::checked_neg)
        .map(Value::from)
        .or_else(|| number(value).map(|number| Value::from(-number)))
}

/// Returns `None` for values that the operator does not support.
pub(super) fn binary(operator: BinaryOperator, left: &Value, right: &Value) -> Option<Value> {
    let ordering = || number(left)?.partial_cmp(&number(right)?);
    let compare = |holds: fn(Ordering) -> bool| ordering().map(|ordering| Value::from(holds(ordering)));
    let both = |of: fn(bool, bool) -> bool| Some(Value::from(of(truth(left)?, truth(right)?)));
    match operator {
        BinaryOperator::Eq => Some(are_equal(left, right).into()),
        BinaryOperator::NotEq => Some((!are_equal(left, right)).into()),
        BinaryOperator::Less => compare(Ordering::is_lt),
        BinaryOperator::LessEq => compare(Ordering::is_le),
        BinaryOperator::Greater => compare(Ordering::is_gt),
        BinaryOperator::GreaterEq => compare(Ordering::is_ge),
        BinaryOperator::And => both(|left, right| left && right),
        BinaryOperator::Or => both(|left, right| left || right),
        BinaryOperator::Plus => arithmetic(left, right, i64::checked_add, |left, right| left + right),
        BinaryOperator::Minus => arithmetic(left, right, i64::checked_sub, |left, right| left - right),
        BinaryOperator::Mul => arithmetic(left, right, i64::checked_mul, |left, right| left * right),
        BinaryOperator::Mod => arithmetic(left, right, i64::checked_rem, |left, right| left % right),
        BinaryOperator::Div => {
            let whole = int(left).zip(int(right)).filter(|(left, right)| left.checked_rem(*right) == Some(0));
            match whole {
                Some((left, right)) => left.checked_div(right).map(Value::from),
                None => finite(number(left)? / number(right)?),
            }
        }
    }
}

/// Compares values; numbers are equal in any notation.
fn are_equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(_), Value::Number(_)) => number(left) == number(right),
        _ => left == right,
    }
}

fn arithmetic(
    left: &Value,
    right: &Value,
    whole: fn(i64, i64) -> Option<i64>,
    real: fn(f64, f64) -> f64,
) -> Option<Value> {
    let of_whole = int(left).zip(int(right)).and_then(|(left, right)| whole(left, right));
    of_whole.map(Value::from).or_else(|| finite(real(number(left)?, number(right)?)))
}

fn finite(number: f64) -> Option<Value> {
    number.is_finite().then(|| Value::from(number))
}
