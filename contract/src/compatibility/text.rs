//! Texts: values, lengths, patterns and formats.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::mismatch::{Misfit, MismatchKind};

/// The texts that fit a schema.
#[derive(Debug, Clone, Default)]
pub(super) struct TextShape<'a> {
    values: Option<BTreeSet<&'a str>>,
    excluded: BTreeSet<&'a str>,
    min: u64,
    max: Option<u64>,
    patterns: BTreeSet<&'a str>,
    /// Such as `("format", "uuid")`.
    forms: BTreeSet<(&'static str, &'a str)>,
}

impl<'a> TextShape<'a> {
    pub(super) fn read(node: &'a Map<String, Value>) -> Self {
        let text = |key: &str| node.get(key).and_then(Value::as_str);
        let forms = ["format", "contentEncoding", "contentMediaType"];
        Self {
            values: None,
            excluded: BTreeSet::new(),
            min: length(node, "minLength").unwrap_or(0),
            max: length(node, "maxLength"),
            patterns: text("pattern").into_iter().collect(),
            forms: forms.into_iter().filter_map(|key| Some((key, text(key)?))).collect(),
        }
    }

    /// Returns the shape with only this text.
    pub(super) fn literal(text: &'a str) -> Self {
        Self { values: Some(BTreeSet::from([text])), ..Self::default() }
    }

    pub(super) fn only(mut self, values: impl Iterator<Item = &'a str>) -> Option<Self> {
        self.values = Some(values.collect());
        self.sound()
    }

    pub(super) fn without(mut self, values: impl Iterator<Item = &'a str>) -> Option<Self> {
        self.excluded.extend(values);
        self.sound()
    }

    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        let mut met = self.clone();
        met.excluded.extend(&other.excluded);
        met.min = self.min.max(other.min);
        met.max = self.max.into_iter().chain(other.max).min();
        met.patterns.extend(&other.patterns);
        met.forms.extend(&other.forms);
        met.values = match (met.values, &other.values) {
            (Some(values), Some(others)) => Some(values.intersection(others).copied().collect()),
            (values, others) => values.or_else(|| others.clone()),
        };
        met.sound()
    }

    /// Removes values that do not fit the other restrictions. Returns `None` if nothing is left.
    fn sound(mut self) -> Option<Self> {
        if let Some(values) = self.values.take() {
            let fitting: BTreeSet<_> = values.into_iter().filter(|value| self.contains(value)).collect();
            if fitting.is_empty() {
                return None;
            }
            self.values = Some(fitting);
        }
        (self.max.is_none_or(|max| self.min <= max)).then_some(self)
    }

    /// Returns true if the text fits, apart from patterns and formats.
    fn contains(&self, text: &str) -> bool {
        let length = text.chars().count() as u64;
        self.values.as_ref().is_none_or(|values| values.contains(text))
            && !self.excluded.contains(text)
            && length >= self.min
            && self.max.is_none_or(|max| length <= max)
    }

    /// Returns a shape for each single value, if they are listed.
    pub(super) fn split(self) -> Vec<Self> {
        match &self.values {
            None => vec![self],
            Some(values) => {
                let of = |value: &&'a str| Self { values: Some(BTreeSet::from([*value])), ..self.clone() };
                values.iter().map(of).collect()
            }
        }
    }

    pub(super) fn is_disjoint(&self, other: &Self) -> bool {
        self.meet(other).is_none()
    }

    pub(super) fn single(&self) -> Option<&'a str> {
        let values = self.values.as_ref()?;
        if values.len() == 1 { values.first().copied() } else { None }
    }

    /// Returns the mismatches between the writer's texts and this reader.
    pub(super) fn misfits(&self, writer: &Self) -> Vec<Misfit> {
        let mut misfits = Vec::new();
        if let Some(values) = &writer.values {
            let unknown = values.iter().filter(|value| !self.contains(value));
            misfits.extend(
                unknown.map(|value| Misfit::certain(MismatchKind::UnknownValue(format!("{value:?}")))),
            );
        } else if let Some(values) = &self.values {
            let accepted = values.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(", ");
            return vec![Misfit::narrower("other texts", &accepted)];
        } else {
            let unknown = self.excluded.iter().filter(|value| writer.contains(value));
            misfits.extend(
                unknown.map(|value| Misfit::certain(MismatchKind::UnknownValue(format!("{value:?}")))),
            );
            misfits.extend(misfits_of_length((self.min, self.max), (writer.min, writer.max), |number| {
                format!("texts of {number} characters")
            }));
        }
        if !self.patterns.is_subset(&writer.patterns) {
            misfits.push(Misfit::doubtful("patterns are not compared"));
        }
        for (key, form) in self.forms.difference(&writer.forms) {
            let accepted = format!("texts of the {key} {form}");
            if writer.values.is_none() && writer.patterns.is_empty() && writer.forms.is_empty() {
                misfits.push(Misfit::narrower("any text", &accepted));
            } else {
                misfits.push(Misfit::doubtful("formats of texts are not compared"));
            }
        }
        misfits
    }
}

/// Returns a length or a count of a schema.
pub(super) fn length(node: &Map<String, Value>, key: &str) -> Option<u64> {
    let number = node.get(key)?;
    // `3.0` is a whole number, too.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "lengths are not negative")]
    number.as_u64().or_else(|| number.as_f64().map(|float| float as u64))
}

/// Returns the mismatches between the lengths that a reader accepts and those that a writer writes.
pub(super) fn misfits_of_length(
    (min, max): (u64, Option<u64>),
    (written_min, written_max): (u64, Option<u64>),
    of: impl Fn(String) -> String,
) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    if written_min < min {
        misfits.push(Misfit::narrower(&of(written_min.to_string()), &of(format!("at least {min}"))));
    }
    if let Some(max) = max.filter(|max| written_max.is_none_or(|written| written > *max)) {
        let written = written_max.map_or_else(|| "any number of".to_owned(), |written| written.to_string());
        misfits.push(Misfit::narrower(&of(written), &of(format!("at most {max}"))));
    }
    misfits
}
