//! A value together with its references.

use serde_json::{Map, Value};

use crate::model::{Reference, Target};

/// The maximum length of a text, against modules that multiply texts: four times AWS's limit for a whole template.
pub(super) const MAX_TEXT: usize = 4 << 20;

/// The maximum number of items of a list, against modules that multiply lists. No list that rules read has hundreds.
const MAX_ITEMS: usize = 1000;

/// The result of an expression.
#[derive(Debug, Clone, Default)]
pub(super) struct Evaluated {
    /// The value, with tokens for parts that are known only after the deployment.
    pub(super) value: Value,
    /// References, by pointers into the value.
    pub(super) references: Vec<Reference>,
    /// For a text that is JSON, the value it was built from, with references by pointers into that value.
    document: Option<Box<Evaluated>>,
}

impl Evaluated {
    pub(super) fn known(value: impl Into<Value>) -> Self {
        Self { value: value.into(), ..Self::default() }
    }

    /// Returns a token.
    pub(super) fn token(name: &str, to: Target) -> Self {
        Self::known(format!("${{{name}}}")).and_refers(to)
    }

    /// Returns the token for a value that cannot be evaluated, built from these parts.
    pub(super) fn unknown(what: &str, parts: &[Self]) -> Self {
        Self::made_of(format!("${{Fn::{what}}}"), parts)
    }

    /// Returns a value in which the parts can no longer be distinguished.
    pub(super) fn made_of(value: impl Into<Value>, parts: &[Self]) -> Self {
        let to = parts.iter().flat_map(|part| &part.references).map(|reference| reference.to.clone());
        Self {
            value: value.into(),
            references: to.map(|to| Reference { at: String::new(), to }).collect(),
            document: None,
        }
    }

    pub(super) fn array(items: impl IntoIterator<Item = Self>) -> Self {
        let mut references = Vec::new();
        let mut values = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            if index == MAX_ITEMS {
                return Self::unknown("too_long", &[]);
            }
            references.extend(item.references_below(&format!("/{index}")));
            values.push(item.value);
        }
        Self { value: Value::Array(values), references, document: None }
    }

    pub(super) fn object(entries: impl IntoIterator<Item = (String, Self)>) -> Self {
        let mut references = Vec::new();
        let mut values = Map::new();
        for (key, entry) in entries {
            references.extend(entry.references_below(&format!("/{}", escape(&key))));
            values.insert(key, entry.value);
        }
        Self { value: Value::Object(values), references, document: None }
    }

    /// Returns this value as JSON text.
    pub(super) fn to_json(&self) -> Self {
        let text = Self::made_of(self.value.to_string(), std::slice::from_ref(self));
        Self { document: Some(Box::new(self.clone())), ..text }
    }

    /// Returns the parsed content of a JSON text, or the value itself if it is not JSON.
    pub(super) fn parsed(&self) -> Self {
        if let Some(document) = &self.document {
            return (**document).clone();
        }
        match self.value.as_str().map(serde_json::from_str::<Value>) {
            Some(Ok(value)) if !value.is_string() => Self::made_of(value, std::slice::from_ref(self)),
            _ => self.clone(),
        }
    }

    pub(super) fn and_refers(mut self, to: Target) -> Self {
        self.references.push(Reference { at: String::new(), to });
        self
    }

    /// Returns the same value with more references.
    pub(super) fn and_made_of(mut self, parts: &[Self]) -> Self {
        self.references.extend(Self::made_of(Value::Null, parts).references);
        self
    }

    /// Returns the same value with the references of the parts as wholes added to it: an empty part leaves no other trace.
    pub(super) fn and_refers_as_wholes(mut self, parts: &[Self]) -> Self {
        let of_parts = parts.iter().flat_map(|part| &part.references);
        self.references.extend(of_parts.filter(|reference| reference.at.is_empty()).cloned());
        self
    }

    /// Returns the references of the value as a whole, and the value without them.
    pub(super) fn apart(&self) -> (Vec<Target>, Self) {
        let (of_whole, of_parts): (Vec<_>, Vec<_>) =
            self.references.iter().cloned().partition(|reference| reference.at.is_empty());
        let whole = of_whole.into_iter().map(|reference| reference.to).collect();
        (whole, Self { references: of_parts, ..self.clone() })
    }

    pub(super) fn is_null(&self) -> bool {
        self.value.is_null()
    }

    /// Returns an entry of an object, or an item of an array by its position.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        let value = match &self.value {
            Value::Object(map) => map.get(key)?,
            Value::Array(items) => items.get(key.parse::<usize>().ok()?)?,
            _ => return None,
        };
        let below = format!("/{}", escape(key));
        let references = self.references.iter().filter_map(|reference| {
            // A reference of the whole is also one of each part.
            let at = if reference.at.is_empty() { "" } else { reference.at.strip_prefix(&below)? };
            (at.is_empty() || at.starts_with('/'))
                .then(|| Reference { at: at.to_owned(), to: reference.to.clone() })
        });
        Some(Self { value: value.clone(), references: references.collect(), document: None })
    }

    /// Returns the items of an array.
    pub(super) fn items(&self) -> Vec<Self> {
        let count = self.value.as_array().map_or(0, Vec::len);
        (0..count).filter_map(|index| self.get(&index.to_string())).collect()
    }

    /// Returns the entries of an object.
    pub(super) fn entries(&self) -> Vec<(String, Self)> {
        let keys = self.value.as_object().into_iter().flat_map(Map::keys);
        keys.filter_map(|key| Some((key.clone(), self.get(key)?))).collect()
    }

    /// Sets the value at a path of this object's keys, separated by `/`. Objects at the same path are merged. A missing value
    /// is ignored.
    pub(super) fn put(&mut self, path: &str, part: &Self) {
        if part.is_null() {
            return;
        }
        if path.is_empty() {
            for (key, entry) in part.entries() {
                self.put(&escape(&key), &entry);
            }
            return;
        }
        let (key, rest) = path.split_once('/').map_or((path, ""), |(key, rest)| (key, rest));
        let key = key.replace("~1", "/").replace("~0", "~");
        if !self.value.is_object() {
            self.value = Value::Object(Map::new());
        }
        let Some(map) = self.value.as_object_mut() else { return };
        let entry = map.entry(key.clone()).or_insert(Value::Null);
        let merged = entry.is_object() && (!rest.is_empty() || part.value.is_object());
        if rest.is_empty() && !merged {
            *entry = part.value.clone();
        } else {
            let mut inner = Self::known(entry.take());
            inner.put(rest, &Self { value: part.value.clone(), ..Self::default() });
            *entry = inner.value;
        }
        let below =
            if rest.is_empty() { format!("/{}", escape(&key)) } else { format!("/{}/{rest}", escape(&key)) };
        self.references.extend(part.references_below(&below));
    }

    /// Removes an entry of this object.
    pub(super) fn remove(&mut self, key: &str) {
        if let Some(map) = self.value.as_object_mut() {
            map.remove(key);
        }
        let below = format!("/{}", escape(key));
        self.references.retain(|reference| {
            reference.at.strip_prefix(&below).is_none_or(|rest| !rest.is_empty() && !rest.starts_with('/'))
        });
    }

    fn references_below(&self, at: &str) -> impl Iterator<Item = Reference> {
        self.references
            .iter()
            .map(move |reference| Reference { at: format!("{at}{}", reference.at), to: reference.to.clone() })
    }
}

/// Escapes a key for a JSON pointer.
pub(super) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
