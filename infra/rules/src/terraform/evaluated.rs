//! A value together with what it refers to.

use serde_json::{Map, Value};

use crate::model::{Reference, Target};

/// How long a text may get, against modules that multiply texts: four times what AWS takes as a whole template.
pub(super) const MAX_TEXT: usize = 4 << 20;

/// How many items a list may get, against modules that multiply lists. No list that rules look at has hundreds.
const MAX_ITEMS: usize = 1000;

/// What an expression came to.
#[derive(Debug, Clone, Default)]
pub(super) struct Evaluated {
    /// With tokens for what only the deployment knows.
    pub(super) value: Value,
    /// By pointers into the value.
    pub(super) references: Vec<Reference>,
    /// Of a text that is JSON, what it was made of: with references by pointers into that.
    document: Option<Box<Evaluated>>,
}

impl Evaluated {
    pub(super) fn known(value: impl Into<Value>) -> Self {
        Self { value: value.into(), ..Self::default() }
    }

    /// A token.
    pub(super) fn token(name: &str, to: Target) -> Self {
        Self::known(format!("${{{name}}}")).and_refers(to)
    }

    /// What cannot be worked out, made of these parts.
    pub(super) fn unknown(what: &str, parts: &[Self]) -> Self {
        Self::made_of(format!("${{Fn::{what}}}"), parts)
    }

    /// A value in which the parts cannot be told from each other any more.
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

    /// The text of this value as JSON.
    pub(super) fn to_json(&self) -> Self {
        let text = Self::made_of(self.value.to_string(), std::slice::from_ref(self));
        Self { document: Some(Box::new(self.clone())), ..text }
    }

    /// What a text that is JSON says; the value itself if it is none.
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

    /// The same value, at which more is referred to.
    pub(super) fn and_made_of(mut self, parts: &[Self]) -> Self {
        self.references.extend(Self::made_of(Value::Null, parts).references);
        self
    }

    /// The same value, which refers as a whole to what the parts as wholes refer to: an empty part leaves no other trace.
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

    /// An entry of an object, or an item of an array by its position.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        let value = match &self.value {
            Value::Object(map) => map.get(key)?,
            Value::Array(items) => items.get(key.parse::<usize>().ok()?)?,
            _ => return None,
        };
        let below = format!("/{}", escape(key));
        let references = self.references.iter().filter_map(|reference| {
            // What the whole refers to, each part does.
            let at = if reference.at.is_empty() { "" } else { reference.at.strip_prefix(&below)? };
            (at.is_empty() || at.starts_with('/'))
                .then(|| Reference { at: at.to_owned(), to: reference.to.clone() })
        });
        Some(Self { value: value.clone(), references: references.collect(), document: None })
    }

    /// The items of an array.
    pub(super) fn items(&self) -> Vec<Self> {
        let count = self.value.as_array().map_or(0, Vec::len);
        (0..count).filter_map(|index| self.get(&index.to_string())).collect()
    }

    /// The entries of an object.
    pub(super) fn entries(&self) -> Vec<(String, Self)> {
        let keys = self.value.as_object().into_iter().flat_map(Map::keys);
        keys.filter_map(|key| Some((key.clone(), self.get(key)?))).collect()
    }

    /// Puts a value at a path of keys of this object, `/` between them. Objects that meet are merged. Nothing is put
    /// where there is no value.
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

    /// Takes an entry of this object out.
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

/// A key as a part of a JSON pointer.
pub(super) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
