//! Numbers: bounds, integers, and the ranges that serde's integers have.

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Map, Number, Value};

use super::mismatch::{Misfit, MismatchKind};

/// The ranges of the integer formats of `schemars`. `schemars` states no bounds for the wide ones, but serde enforces them.
const INTEGER_FORMATS: [(&str, i128, i128); 10] = [
    ("int8", i8::MIN as i128, i8::MAX as i128),
    ("int16", i16::MIN as i128, i16::MAX as i128),
    ("int32", i32::MIN as i128, i32::MAX as i128),
    ("int64", i64::MIN as i128, i64::MAX as i128),
    ("int", i64::MIN as i128, i64::MAX as i128),
    ("uint8", 0, u8::MAX as i128),
    ("uint16", 0, u16::MAX as i128),
    ("uint32", 0, u32::MAX as i128),
    ("uint64", 0, u64::MAX as i128),
    ("uint", 0, u64::MAX as i128),
];

/// The largest magnitude of a whole number that is kept exactly.
const EXACT: f64 = 1e38;

/// A number of a schema, compared exactly.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Exact {
    Whole(i128),
    /// A number with a fraction, or one that is too large for the other variant.
    Float(f64),
}

impl Exact {
    #[allow(clippy::cast_possible_truncation, reason = "a whole number below 1e38 fits into 128 bits")]
    fn of(number: &Number) -> Self {
        if let Some(whole) = number.as_i64() {
            return Self::Whole(whole.into());
        }
        if let Some(whole) = number.as_u64() {
            return Self::Whole(whole.into());
        }
        let float = number.as_f64().unwrap_or(f64::MAX);
        if float.fract() == 0.0 && float.abs() < EXACT {
            Self::Whole(float as i128)
        } else {
            Self::Float(float)
        }
    }

    fn is_whole(self) -> bool {
        match self {
            Self::Whole(_) => true,
            Self::Float(float) => float.fract() == 0.0,
        }
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "a fraction is below 2^53, where the comparison is exact, and 1e38 above all else"
    )]
    fn compare(self, other: Self) -> Ordering {
        let float = |exact: Self| match exact {
            Self::Whole(whole) => whole as f64,
            Self::Float(float) => float,
        };
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => a.cmp(&b),
            _ => float(self).total_cmp(&float(other)),
        }
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(whole) => write!(f, "{whole}"),
            Self::Float(float) => write!(f, "{float}"),
        }
    }
}

/// A number listed in a schema, as it is spelled: a worker whose type is an integer does not read `1.0`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Listed {
    number: Exact,
    has_point: bool,
}

impl Listed {
    fn of(number: &Number) -> Self {
        Self { number: Exact::of(number), has_point: number.is_f64() }
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let point = if self.has_point && matches!(self.number, Exact::Whole(_)) { ".0" } else { "" };
        write!(f, "{}{point}", self.number)
    }
}

/// The end of a range.
#[derive(Debug, Clone, Copy)]
struct Bound {
    at: Exact,
    is_exclusive: bool,
}

impl Bound {
    fn read(node: &Map<String, Value>, inclusive: &str, exclusive: &str) -> [Option<Self>; 2] {
        let bound = |key: &str, is_exclusive| match node.get(key) {
            Some(Value::Number(number)) => Some(Self { at: Exact::of(number), is_exclusive }),
            _ => None,
        };
        [bound(inclusive, false), bound(exclusive, true)]
    }

    /// Compares two ends by their reach; `Greater` means higher.
    fn compare(self, other: Self, is_low: bool) -> Ordering {
        let beyond = if is_low { Ordering::Greater } else { Ordering::Less };
        self.at.compare(other.at).then(match (self.is_exclusive, other.is_exclusive) {
            (true, false) => beyond,
            (false, true) => beyond.reverse(),
            _ => Ordering::Equal,
        })
    }

    /// Returns the same end for whole numbers.
    #[allow(clippy::cast_possible_truncation, reason = "a fraction is below 2^53")]
    fn of_whole(self, is_low: bool) -> Self {
        let at = match self.at {
            Exact::Whole(whole) if self.is_exclusive && is_low => Exact::Whole(whole.saturating_add(1)),
            Exact::Whole(whole) if self.is_exclusive => Exact::Whole(whole.saturating_sub(1)),
            Exact::Whole(whole) => Exact::Whole(whole),
            Exact::Float(float) if float.abs() >= EXACT => return self,
            Exact::Float(float) if is_low => Exact::Whole(float.ceil() as i128),
            Exact::Float(float) => Exact::Whole(float.floor() as i128),
        };
        Self { at, is_exclusive: false }
    }

    fn text(self, is_low: bool) -> String {
        let word = match (is_low, self.is_exclusive) {
            (true, false) => "from",
            (true, true) => "above",
            (false, false) => "up to",
            (false, true) => "below",
        };
        format!("numbers {word} {}", self.at)
    }
}

/// The numbers that fit a schema.
#[derive(Debug, Clone, Default)]
pub(super) struct NumberShape {
    is_whole: bool,
    low: Option<Bound>,
    high: Option<Bound>,
    values: Option<Vec<Listed>>,
    excluded: Vec<Exact>,
    multiples: Vec<Exact>,
    is_single_precision: bool,
    is_double_precision: bool,
}

impl NumberShape {
    pub(super) fn read(node: &Map<String, Value>, is_whole: bool) -> Self {
        let format = node.get("format").and_then(Value::as_str);
        let range = INTEGER_FORMATS.iter().find(|(name, ..)| is_whole && format == Some(name));
        let end = |at| Bound { at: Exact::Whole(at), is_exclusive: false };
        let lows = Bound::read(node, "minimum", "exclusiveMinimum").into_iter();
        let highs = Bound::read(node, "maximum", "exclusiveMaximum").into_iter();
        let lows = lows.chain([range.map(|(_, low, _)| end(*low))]).flatten();
        let highs = highs.chain([range.map(|(.., high)| end(*high))]).flatten();
        let multiple = node.get("multipleOf").and_then(Value::as_number).map(Exact::of);
        let shape = Self {
            is_whole,
            low: lows.max_by(|a, b| a.compare(*b, true)),
            high: highs.min_by(|a, b| a.compare(*b, false)),
            multiples: multiple.into_iter().collect(),
            is_single_precision: format == Some("float"),
            is_double_precision: format == Some("double"),
            ..Self::default()
        };
        shape.tightened()
    }

    fn tightened(mut self) -> Self {
        if self.is_whole {
            self.low = self.low.map(|low| low.of_whole(true));
            self.high = self.high.map(|high| high.of_whole(false));
            // Such a field has an integer type, which serde writes without a decimal point.
            for value in self.values.iter_mut().flatten() {
                value.has_point = false;
            }
        }
        self
    }

    pub(super) fn only<'v>(mut self, values: impl Iterator<Item = &'v Number>) -> Option<Self> {
        let values: Vec<Listed> =
            values.map(Listed::of).filter(|value| self.contains(value.number)).collect();
        if values.is_empty() {
            return None;
        }
        self.values = Some(values);
        Some(self.tightened())
    }

    pub(super) fn without<'v>(mut self, values: impl Iterator<Item = &'v Number>) -> Option<Self> {
        self.excluded.extend(values.map(Exact::of));
        self.sound()
    }

    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        let mut met = self.clone();
        met.is_whole |= other.is_whole;
        let ends = |a: Option<Bound>, b: Option<Bound>| a.into_iter().chain(b);
        met.low = ends(self.low, other.low).max_by(|a, b| a.compare(*b, true));
        met.high = ends(self.high, other.high).min_by(|a, b| a.compare(*b, false));
        met.excluded.extend(&other.excluded);
        met.multiples.extend(&other.multiples);
        met.is_single_precision |= other.is_single_precision;
        met.is_double_precision |= other.is_double_precision;
        met.values = match (met.values, &other.values) {
            (Some(values), Some(others)) => {
                let is_listed = |value: &Listed| others.iter().any(|other| other.number == value.number);
                Some(values.into_iter().filter(is_listed).collect())
            }
            (values, others) => values.or_else(|| others.clone()),
        };
        met.tightened().sound()
    }

    /// Removes values that do not fit the other restrictions. Returns `None` if nothing is left.
    fn sound(mut self) -> Option<Self> {
        if let Some(values) = self.values.take() {
            let fitting: Vec<_> = values.into_iter().filter(|value| self.contains(value.number)).collect();
            if fitting.is_empty() {
                return None;
            }
            self.values = Some(fitting);
        }
        if let (Some(low), Some(high)) = (self.low, self.high) {
            match low.at.compare(high.at) {
                Ordering::Greater => return None,
                Ordering::Equal if low.is_exclusive || high.is_exclusive => return None,
                _ => {}
            }
        }
        Some(self)
    }

    /// Returns true if the value fits, apart from `multipleOf`.
    fn contains(&self, value: Exact) -> bool {
        let point = Bound { at: value, is_exclusive: false };
        self.values.as_ref().is_none_or(|values| values.iter().any(|listed| listed.number == value))
            && !self.excluded.contains(&value)
            && (!self.is_whole || value.is_whole())
            && self.low.is_none_or(|low| low.compare(point, true) != Ordering::Greater)
            && self.high.is_none_or(|high| high.compare(point, false) != Ordering::Less)
    }

    /// Returns a shape for each single value, if they are listed.
    pub(super) fn split(self) -> Vec<Self> {
        match &self.values {
            None => vec![self],
            Some(values) => {
                values.iter().map(|value| Self { values: Some(vec![*value]), ..self.clone() }).collect()
            }
        }
    }

    pub(super) fn is_disjoint(&self, other: &Self) -> bool {
        match (&self.values, &other.values) {
            (Some(values), _) => !values.iter().any(|value| other.contains(value.number)),
            (None, Some(values)) => !values.iter().any(|value| self.contains(value.number)),
            (None, None) => self.meet(other).is_none(),
        }
    }

    pub(super) fn noun(&self) -> &'static str {
        if self.is_whole { "an integer" } else { "a number" }
    }

    pub(super) fn single(&self) -> Option<String> {
        match self.values.as_deref() {
            Some([value]) => Some(value.to_string()),
            _ => None,
        }
    }

    /// Returns the mismatches between the writer's numbers and this reader.
    pub(super) fn misfits(&self, writer: &Self) -> Vec<Misfit> {
        let mut misfits = Vec::new();
        if let Some(values) = &writer.values {
            misfits.extend(values.iter().filter_map(|value| self.misfit_of_value(*value)));
            misfits.extend(self.misfits_of_multiples(writer));
            return misfits;
        }
        if let Some(values) = &self.values {
            let accepted = values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return vec![Misfit::narrower("other numbers", &accepted)];
        }
        if self.is_whole && !writer.is_whole {
            misfits.push(Misfit::narrower("numbers with a fraction", "integers"));
        }
        for (accepted, written, is_low) in [(self.low, writer.low, true), (self.high, writer.high, false)] {
            let Some(accepted) = accepted else { continue };
            let outward = if is_low { Ordering::Less } else { Ordering::Greater };
            if written.is_none_or(|written| written.compare(accepted, is_low) == outward) {
                let any =
                    || if is_low { "numbers of any size below" } else { "numbers of any size" }.to_owned();
                let written = written.map_or_else(any, |written| written.text(is_low));
                misfits.push(Misfit::narrower(&written, &accepted.text(is_low)));
            }
        }
        let unknown = self.excluded.iter().filter(|value| writer.contains(**value));
        misfits.extend(unknown.map(|value| Misfit::certain(MismatchKind::UnknownValue(value.to_string()))));
        misfits.extend(self.misfits_of_multiples(writer));
        if self.is_single_precision && writer.is_double_precision {
            misfits.push(Misfit::doubtful("a float keeps fewer digits than a double"));
        }
        misfits
    }

    /// Returns the reason why this reader does not accept a listed number, if there is one.
    fn misfit_of_value(&self, value: Listed) -> Option<Misfit> {
        if !self.contains(value.number) {
            return Some(Misfit::certain(MismatchKind::UnknownValue(value.to_string())));
        }
        if self.is_whole && value.has_point {
            return Some(Misfit::narrower(&value.to_string(), "integers without a decimal point"));
        }
        let others = self.values.as_ref().filter(|_| !self.is_whole)?;
        (!others.contains(&value)).then(|| {
            Misfit::doubtful(
                "a number is written with and without `.0`, and an integer type reads only one of them",
            )
        })
    }

    fn misfits_of_multiples(&self, writer: &Self) -> Option<Misfit> {
        let is_met = |multiple: &Exact| {
            writer.multiples.contains(multiple) || (*multiple == Exact::Whole(1) && writer.is_whole)
        };
        (!self.multiples.iter().all(is_met)).then(|| Misfit::doubtful("`multipleOf` is not compared"))
    }
}
