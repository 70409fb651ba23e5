//! The schemas of job types, and the check of payloads against them.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use drumline::Job;
use drumline_contract::guards::{SchemaGuard, field};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::Refusal;

/// The largest number of further fields that an error names.
const MOST_NAMED: usize = 5;

/// The schema of a type if it has one, or the reason why it cannot be used.
type Compiled = Option<Result<Arc<SchemaGuard>, String>>;

/// The schemas of job types, each compiled once. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schemas(Arc<Mutex<HashMap<TypeId, Compiled>>>);

impl Schemas {
    /// Refuses a payload that does not match the newest schema of its type. A type without a schema is not checked.
    pub(crate) fn check<J: Job>(&self, payload: &RawValue) -> Result<(), Refusal> {
        let Some(schema) = self.of::<J>() else { return Ok(()) };
        let schema = schema.map_err(|reason| {
            Refusal::new(J::TYPE, "schema", format!("{reason}: correct Job::schema of the type"))
        })?;
        let value: Value = serde_json::from_str(payload.get())
            .map_err(|error| Refusal::new(J::TYPE, "payload", error.to_string()))?;
        let Err(problems) = schema.check(&value) else { return Ok(()) };
        let fields: Vec<String> = problems.iter().map(|problem| field("payload", &problem.pointer)).collect();
        let Some((first, others)) = fields.split_first() else { return Ok(()) };
        let also = if others.is_empty() {
            String::new()
        } else {
            format!("; also {}", others[..others.len().min(MOST_NAMED)].join(", "))
        };
        Err(Refusal::new(
            J::TYPE,
            first,
            format!("by the schema of the type it {}{also}", problems[0].reason),
        ))
    }

    fn of<J: Job>(&self) -> Compiled {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let compile = || {
            let schema = J::schema(J::VERSION)?;
            Some(SchemaGuard::new(&schema).map(Arc::new).map_err(|error| error.to_string()))
        };
        known.entry(TypeId::of::<J>()).or_insert_with(compile).clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;

    static ASKED: AtomicUsize = AtomicUsize::new(0);

    #[derive(serde::Deserialize)]
    struct Limited {}

    impl Job for Limited {
        const TYPE: &'static str = "limited";
        const VERSION: u32 = 2;

        fn schema(version: u32) -> Option<Value> {
            ASKED.fetch_add(1, Ordering::Relaxed);
            let size = json!({ "type": "integer", "maximum": 9 });
            (version == 2).then(|| json!({ "properties": { "size": size, "at": { "items": size } } }))
        }
    }

    #[derive(serde::Deserialize)]
    struct Broken {}

    impl Job for Broken {
        const TYPE: &'static str = "broken";

        fn schema(_: u32) -> Option<Value> {
            Some(json!({ "type": "nothing" }))
        }
    }

    #[derive(serde::Deserialize)]
    struct Free {}

    impl Job for Free {
        const TYPE: &'static str = "free";
    }

    fn check<J: Job>(schemas: &Schemas, payload: &Value) -> Result<(), String> {
        let payload = RawValue::from_string(payload.to_string()).unwrap();
        schemas.check::<J>(&payload).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn a_payload_fits_the_newest_schema_of_its_type() {
        let schemas = Schemas::default();
        assert_eq!(check::<Limited>(&schemas, &json!({ "size": 9, "at": [1, 2] })), Ok(()));
        let error = check::<Limited>(&schemas.clone(), &json!({ "size": 10 })).unwrap_err();
        assert!(
            error.starts_with("a job limited was not sent: payload.size: by the schema of the type it "),
            "{error}"
        );
        let error = check::<Limited>(&schemas, &json!({ "at": [1, 11, "x"] })).unwrap_err();
        assert!(error.contains("payload.at[1]: ") && error.ends_with("; also payload.at[2]"), "{error}");
        assert_eq!(ASKED.load(Ordering::Relaxed), 1, "it is compiled once");
        assert_eq!(check::<Free>(&schemas, &json!([])), Ok(()));
        let error = check::<Broken>(&schemas, &json!({})).unwrap_err();
        assert!(error.contains("broken was not sent: schema: the schema cannot be used"), "{error}");
    }
}
