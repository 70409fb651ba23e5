//! The schemas of the program's job types: determine which columns are texts and which payloads are invalid.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use drumline::Router;
use drumline_contract::guards::{SchemaGuard, field};
use serde_json::Value;
use serde_json::value::RawValue;

/// The largest depth to which `$ref` is followed: a schema may refer to itself.
const MAX_REFERENCES: usize = 16;

/// The schemas of a router's types. Each is compiled once.
pub(super) struct Schemas {
    schemas: HashMap<String, (u32, Value)>,
    compiled: RefCell<HashMap<String, Option<Arc<SchemaGuard>>>>,
}

impl Schemas {
    /// Returns the newest schemas of a router's types.
    pub(super) fn of(router: Option<&Router>) -> Self {
        let types = router.into_iter().flat_map(Router::job_types);
        let schemas = types.filter_map(|known| {
            Some((known.name.to_string(), (known.version, known.schema(known.version)?)))
        });
        Self { schemas: schemas.collect(), compiled: RefCell::default() }
    }

    /// Returns true if the schema of a type allows only a string at this path of keys.
    pub(super) fn is_text(&self, job_type: &str, keys: &[String]) -> bool {
        let Some((_, schema)) = self.schemas.get(job_type) else { return false };
        let place = keys.iter().try_fold(resolved(schema, schema), |place, key| {
            Some(resolved(schema, place?.get("properties")?.get(key)?))
        });
        place.flatten().is_some_and(|place| match &place["type"] {
            Value::String(name) => name == "string",
            Value::Array(names) => {
                names.contains(&Value::from("string"))
                    && names.iter().all(|name| name == "string" || name == "null")
            }
            _ => false,
        })
    }

    /// Checks the payload of a job. A type or a version without a schema is not checked.
    ///
    /// # Errors
    ///
    /// Returns the invalid field and the reason.
    pub(super) fn check(&self, job_type: &str, version: u32, payload: &RawValue) -> Result<(), String> {
        let Some(schema) = self.compiled(job_type, version) else { return Ok(()) };
        let payload = serde_json::from_str(payload.get()).map_err(|error| error.to_string())?;
        schema.check(&payload).map_err(|problems| {
            let texts = problems
                .iter()
                .map(|problem| format!("{}: {}", field("payload", &problem.pointer), problem.reason));
            texts.collect::<Vec<_>>().join("; ")
        })
    }

    fn compiled(&self, job_type: &str, version: u32) -> Option<Arc<SchemaGuard>> {
        let (known, schema) = self.schemas.get(job_type)?;
        if *known != version {
            return None;
        }
        let mut compiled = self.compiled.borrow_mut();
        // An invalid schema is a mistake of the program; its handler is asked anyway.
        let guard = compiled
            .entry(job_type.to_owned())
            .or_insert_with(|| SchemaGuard::new(schema).ok().map(Arc::new));
        guard.clone()
    }
}

/// Resolves references of the form `#/$defs/NAME`.
fn resolved<'a>(whole: &'a Value, mut place: &'a Value) -> Option<&'a Value> {
    for _ in 0..MAX_REFERENCES {
        let Some(reference) = place.get("$ref").and_then(Value::as_str) else { return Some(place) };
        place = whole.pointer(reference.strip_prefix('#')?)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_that_is_only_a_text_is_known_through_references() {
        let schema = json!({
            "properties": {
                "zip": { "type": "string" },
                "note": { "type": ["string", "null"] },
                "either": { "type": ["string", "integer"] },
                "count": { "type": "integer" },
                "user": { "$ref": "#/$defs/User" },
                "loop": { "$ref": "#/properties/loop" },
            },
            "$defs": { "User": { "properties": { "phone": { "$ref": "#/$defs/Phone" } } }, "Phone": { "type": "string" } },
        });
        let schemas = Schemas {
            schemas: HashMap::from([("a.b".to_owned(), (2, schema))]),
            compiled: RefCell::default(),
        };
        let is_text = |name: &str| {
            let keys: Vec<String> = name.split('.').map(str::to_owned).collect();
            schemas.is_text("a.b", &keys)
        };
        for name in ["zip", "note", "user.phone"] {
            assert!(is_text(name), "{name}");
        }
        for name in ["either", "count", "user", "user.none", "loop", "zip.x", "none"] {
            assert!(!is_text(name), "{name}");
        }
        assert!(!schemas.is_text("other", &["zip".to_owned()]));
    }

    #[test]
    fn a_payload_of_the_newest_version_is_checked() {
        let schema =
            json!({ "type": "object", "required": ["id"], "properties": { "id": { "type": "integer" } } });
        let schemas = Schemas {
            schemas: HashMap::from([("a.b".to_owned(), (2, schema))]),
            compiled: RefCell::default(),
        };
        let check = |job_type: &str, version, payload: &str| {
            let payload = RawValue::from_string(payload.to_owned()).expect("it is JSON");
            schemas.check(job_type, version, &payload)
        };
        assert_eq!(check("a.b", 2, r#"{"id":7}"#), Ok(()));
        let error = check("a.b", 2, r#"{"id":"7"}"#).expect_err("a text is no integer");
        assert!(error.starts_with("payload.id: "), "{error}");
        assert_eq!(check("a.b", 1, r#"{"id":"7"}"#), Ok(()), "an older version has another schema");
        assert_eq!(check("other", 2, "7"), Ok(()));
    }
}
