//! The payload contract: a job type's name, its version, and how older payloads become current ones.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::api::failure::Failure;
use crate::message::identity::KeyScope;
use crate::message::objects::{from_json, from_value};

/// A kind of work, told by its payload.
///
/// ```
/// use drumline::{Job, Upcaster};
/// use serde_json::json;
///
/// #[derive(serde::Deserialize)]
/// struct Welcome {
///     user_id: u64,
/// }
///
/// impl Job for Welcome {
///     const TYPE: &'static str = "welcome";
///     const VERSION: u32 = 2;
///     // Version 1 called the field `user`.
///     const UPCASTERS: &'static [Upcaster] =
///         &[Upcaster { from: 1, up: |old| Ok(json!({ "user_id": old["user"] })) }];
/// }
/// ```
pub trait Job: DeserializeOwned + Send + 'static {
    /// The `type` of the envelope, such as `image.process`: lower case, dots between words.
    const TYPE: &'static str;
    /// The newest payload version this code understands, from 1. A newer message is retried, since a rolling
    /// deploy may be under way; it is not rejected.
    const VERSION: u32 = 1;
    /// The steps from older versions, each to the next one. A message older than the steps reach is undecodable.
    const UPCASTERS: &'static [Upcaster] = &[];
    /// The idempotency key derived from the payload. Overrides the envelope's `idempotencyKey`. It is unique within the
    /// job's scope, type and source, see [`KEY_SCOPE`](Self::KEY_SCOPE); an empty one counts as none. At most
    /// [`MAX_KEY_BYTES`](crate::core::MAX_KEY_BYTES).
    const IDEMPOTENCY_KEY: Option<fn(&Self) -> String> = None;
    /// Within which other jobs [`IDEMPOTENCY_KEY`](Self::IDEMPOTENCY_KEY) is unique.
    const KEY_SCOPE: KeyScope = KeyScope::Job;
    /// What no two jobs may work on at once, whatever their types and keys: `account:42`, say. A job whose lock is held
    /// waits in hand, for a minute at most before it is received again, and that is no attempt. At most [`MAX_KEY_BYTES`](crate::core::MAX_KEY_BYTES).
    const LOCK: Option<fn(&Self) -> String> = None;
}

/// One step from a payload version to the next.
#[derive(Debug, Clone, Copy)]
pub struct Upcaster {
    /// The version it takes; it gives `from + 1`.
    pub from: u32,
    /// The change itself; its error is the reason the message is undecodable.
    pub up: fn(Value) -> Result<Value, String>,
}

/// Reads a payload of `version` as a `J`. A newer version is the router's to refuse before.
pub(crate) fn decode<J: Job>(version: u32, payload: &RawValue) -> Result<J, Failure> {
    let error = |e: serde_json::Error| {
        Failure::undecodable(format_args!("the payload does not fit {}: {e}", J::TYPE))
    };
    if version == J::VERSION {
        return from_json(payload.get()).map_err(error);
    }
    let mut value: Value = serde_json::from_str(payload.get()).map_err(error)?;
    for from in version..J::VERSION {
        let step = J::UPCASTERS.iter().find(|step| step.from == from).ok_or_else(|| {
            Failure::undecodable(format_args!(
                "{} version {version} is too old: no step from {from}",
                J::TYPE
            ))
        })?;
        value = (step.up)(value).map_err(|e| {
            Failure::undecodable(format_args!("{} version {from} -> {}: {e}", J::TYPE, from + 1))
        })?;
    }
    from_value(value).map_err(error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::api::failure::Wish;
    use serde_json::json;

    #[derive(serde::Deserialize, Debug, PartialEq)]
    struct Greet {
        name: String,
    }

    impl Job for Greet {
        const TYPE: &'static str = "greet";
        const VERSION: u32 = 3;
        const UPCASTERS: &'static [Upcaster] = &[
            Upcaster { from: 1, up: |v| Ok(json!({ "who": v["w"] })) },
            Upcaster {
                from: 2,
                up: |v| v["who"].as_str().map(|w| json!({ "name": w })).ok_or_else(|| "no who".to_owned()),
            },
        ];
    }

    fn read(version: u32, payload: &Value) -> Result<Greet, Failure> {
        decode(version, &RawValue::from_string(payload.to_string()).unwrap())
    }

    #[test]
    fn older_payloads_climb_step_by_step() {
        let ann = Greet { name: "Ann".into() };
        assert_eq!(read(3, &json!({ "name": "Ann" })).unwrap(), ann);
        assert_eq!(read(2, &json!({ "who": "Ann" })).unwrap(), ann);
        assert_eq!(read(1, &json!({ "w": "Ann" })).unwrap(), ann);
    }

    #[test]
    fn what_does_not_fit_is_undecodable() {
        let table = [
            (3, json!({ "nam": 1 }), "missing field `name`"),
            (3, json!(["Ann"]), "invalid type: sequence, expected a JSON object"),
            (2, json!({}), "greet version 2 -> 3: no who"),
            (1, json!({ "w": 5 }), "greet version 2 -> 3: no who"),
            (0, json!({}), "no step from 0"),
        ];
        for (version, payload, says) in table {
            let failure = read(version, &payload).unwrap_err();
            assert_eq!(failure.wish(), Wish::Undecodable);
            let reason = failure.into_parts().1;
            assert!(reason.contains(says), "{payload}: {reason}");
        }
    }
}
