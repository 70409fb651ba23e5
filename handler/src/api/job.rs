//! The payload contract: a job type's name, its version, and the upgrade of older payloads.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::api::failure::Failure;
use crate::core::retry::RetryPolicy;
use crate::message::identity::KeyScope;
use crate::message::objects::{from_json, from_value};

/// A job type, and the payload of one job.
///
/// Only `TYPE` is required. The timeout, attempts and retries given here override the settings of the queue. The settings of the type
/// (`handler_timeout_by_type` and so on) override these. `drumline config` shows both.
///
/// ```
/// use std::time::Duration;
/// use drumline::{Job, RetryPolicy, Upcaster};
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
///     const TIMEOUT: Option<Duration> = Some(Duration::from_secs(30));
///     const MAX_ATTEMPTS: Option<u32> = Some(5);
///
///     fn retry() -> Option<RetryPolicy> {
///         Some("schedule(10s,1m,10m)".parse().expect("a valid policy"))
///     }
///
///     fn idempotency_key(&self) -> Option<String> {
///         Some(format!("welcome:{}", self.user_id))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a job",
    label = "`{Self}` does not implement `drumline::Job`",
    note = "name its type: `impl Job for {Self} {{ const TYPE: &'static str = \"my.type\"; }}`",
    note = "a handler takes `drumline::Context` first and its job second, both by value"
)]
pub trait Job: DeserializeOwned + Send + 'static {
    /// The `type` of the envelope, such as `image.process`: lower case, dots between words. A router has one handler for each
    /// type.
    const TYPE: &'static str;
    /// The newest payload version that this code understands, from 1. A newer message is retried, not rejected: a rolling deploy may be
    /// in progress.
    const VERSION: u32 = 1;
    /// The steps from older versions, each to the next one. A message of a version without a step fails permanently.
    const UPCASTERS: &'static [Upcaster] = &[];
    /// The jobs among which the [`idempotency_key`](Self::idempotency_key) is unique.
    const KEY_SCOPE: KeyScope = KeyScope::Job;
    /// The time that one attempt may take, up to 12 hours. `None` leaves it to the setting `handler_timeout`.
    const TIMEOUT: Option<Duration> = None;
    /// The number of failed attempts, from 1, after which a message fails permanently. Runs that a shutdown or a pause stopped do
    /// not count. The redrive policy, which counts receives, stays the outer bound. `None` leaves it to the setting
    /// `max_attempts`.
    const MAX_ATTEMPTS: Option<u32> = None;

    /// Returns the wait after a failed attempt. `None` leaves it to the setting `retry`.
    fn retry() -> Option<RetryPolicy> {
        None
    }

    /// Returns the idempotency key derived from the payload, which overrides the envelope's `idempotencyKey`. It is unique within
    /// the job's scope, type and source, see [`KEY_SCOPE`](Self::KEY_SCOPE); an empty one counts as none. At most
    /// [`MAX_KEY_BYTES`](crate::core::MAX_KEY_BYTES).
    fn idempotency_key(&self) -> Option<String> {
        None
    }

    /// Returns the name of a lock that no two jobs may hold at once, regardless of their types and keys, such as `account:42`; an empty
    /// one counts as none. A job whose lock is held waits in the worker, for a minute at most before it is received again; waiting does
    /// not count as an attempt. At most [`MAX_KEY_BYTES`](crate::core::MAX_KEY_BYTES).
    fn lock(&self) -> Option<String> {
        None
    }

    /// Returns the JSON Schema of the payload of `version`: [`VERSION`](Self::VERSION) or an older one that the
    /// [`UPCASTERS`](Self::UPCASTERS) read. `None` means that this version has no schema.
    ///
    /// `drumline schema` prints the schemas as the contract with producers, and `drumline schema check` compares two contracts: see
    /// `docs/contracts.md`. The runtime does not validate payloads with it; a payload must fit the type's `Deserialize`.
    ///
    /// A crate such as `schemars` derives a schema from the type, in the form that serde reads. Keep the types of older versions for
    /// their schemas, because messages of those versions may still be in the queue:
    ///
    /// ```
    /// use drumline::{Job, Upcaster};
    /// use schemars::{JsonSchema, schema_for};
    /// use serde_json::{Value, json};
    ///
    /// #[derive(serde::Deserialize, JsonSchema)]
    /// struct Welcome {
    ///     user_id: u64,
    /// }
    ///
    /// /// Version 1.
    /// #[derive(JsonSchema)]
    /// struct WelcomeV1 {
    ///     user: u64,
    /// }
    ///
    /// impl Job for Welcome {
    ///     const TYPE: &'static str = "welcome";
    ///     const VERSION: u32 = 2;
    ///     const UPCASTERS: &'static [Upcaster] =
    ///         &[Upcaster { from: 1, up: |old| Ok(json!({ "user_id": old["user"] })) }];
    ///
    ///     fn schema(version: u32) -> Option<Value> {
    ///         match version {
    ///             Self::VERSION => Some(schema_for!(Self).to_value()),
    ///             1 => Some(schema_for!(WelcomeV1).to_value()),
    ///             _ => None,
    ///         }
    ///     }
    /// }
    ///
    /// assert_eq!(Welcome::schema(1).unwrap()["required"], json!(["user"]));
    /// ```
    fn schema(version: u32) -> Option<Value> {
        let _ = version;
        None
    }
}

/// One step from a payload version to the next.
#[derive(Debug, Clone, Copy)]
pub struct Upcaster {
    /// The version that it reads; the result has `from + 1`.
    pub from: u32,
    /// The change. If it fails, the message fails permanently with this reason.
    pub up: fn(Value) -> Result<Value, String>,
}

/// Reads a payload of `version` as a `J`. The router has already refused newer versions.
pub(crate) fn decode<J: Job>(version: u32, payload: &RawValue) -> Result<J, Failure> {
    let error = |e: serde_json::Error| {
        Failure::invalid_payload(format_args!("the payload does not fit {}: {e}", J::TYPE))
    };
    if version == J::VERSION {
        return from_json(payload.get()).map_err(error);
    }
    let mut value: Value = serde_json::from_str(payload.get()).map_err(error)?;
    for from in version..J::VERSION {
        let step = J::UPCASTERS.iter().find(|step| step.from == from).ok_or_else(|| {
            Failure::invalid_payload(format_args!(
                "{} version {version} is too old: no step from {from}",
                J::TYPE
            ))
        })?;
        value = (step.up)(value).map_err(|e| {
            Failure::invalid_payload(format_args!("{} version {from} -> {}: {e}", J::TYPE, from + 1))
        })?;
    }
    from_value(value).map_err(error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::api::failure::FailureKind;
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
            assert_eq!(failure.kind(), FailureKind::InvalidPayload);
            let reason = failure.reason();
            assert!(reason.contains(says), "{payload}: {reason}");
        }
    }
}
