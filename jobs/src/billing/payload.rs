//! The payload of a `billing.charge` job.

use drumline::Job;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::name::Name;

/// The customer and the amount of a charge. Sent to the provider unchanged.
#[expect(clippy::struct_field_names, reason = "the payload's own words")]
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Charge {
    /// The id that identifies this charge when it is sent again.
    pub(crate) charge_id: Name,
    pub(crate) customer_id: Name,
    amount: Amount,
    currency: Currency,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<Description>,
}

impl Charge {
    /// Returns the key under which the customer is charged once, here and at the provider. It depends only on the job, so it is
    /// the same at every attempt, on every host, and after a redrive.
    pub(crate) fn key(&self) -> String {
        format!("charge:{}", self.charge_id)
    }
}

impl Job for Charge {
    const TYPE: &'static str = "billing.charge";

    fn idempotency_key(&self) -> Option<String> {
        Some(self.key())
    }

    /// Returns a lock per customer, so that two charges of one customer do not run at once: a provider may decide by the
    /// customer's balance or limit.
    fn lock(&self) -> Option<String> {
        Some(format!("customer:{}", self.customer_id))
    }

    fn schema(_: u32) -> Option<Value> {
        Some(schema_for!(Self).to_value())
    }
}

/// The largest amount of one charge, in minor units: eight digits, as at common providers. A larger amount is a mistake.
const MAX_AMOUNT: u64 = 99_999_999;

/// An amount in the currency's minor unit, such as cents.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "u64")]
#[schemars(!try_from)]
struct Amount(#[schemars(range(min = 1, max = MAX_AMOUNT))] u64);

#[derive(Debug, thiserror::Error)]
#[error("an amount is 1 to {MAX_AMOUNT} minor units, not {0}")]
struct NoAmount(u64);

impl TryFrom<u64> for Amount {
    type Error = NoAmount;

    fn try_from(minor: u64) -> Result<Self, NoAmount> {
        if (1..=MAX_AMOUNT).contains(&minor) { Ok(Self(minor)) } else { Err(NoAmount(minor)) }
    }
}

/// Three letters of [ISO 4217](https://www.iso.org/iso-4217-currency-codes.html). The provider knows which codes exist.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(!try_from)]
struct Currency(#[schemars(regex(pattern = "^[A-Z]{3}$"))] String);

#[derive(Debug, thiserror::Error)]
#[error("a currency is three upper-case letters, such as EUR")]
struct NoCurrency;

impl TryFrom<String> for Currency {
    type Error = NoCurrency;

    fn try_from(text: String) -> Result<Self, NoCurrency> {
        let fits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase());
        if fits { Ok(Self(text)) } else { Err(NoCurrency) }
    }
}

/// The longest description, in bytes: several times as long as fits on a statement.
const MAX_DESCRIPTION_BYTES: usize = 500;

/// The description that the customer may read.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(!try_from)]
struct Description(#[schemars(length(max = MAX_DESCRIPTION_BYTES))] String);

#[derive(Debug, thiserror::Error)]
#[error("a description has at most {MAX_DESCRIPTION_BYTES} bytes, not {0}")]
struct TooLong(usize);

impl TryFrom<String> for Description {
    type Error = TooLong;

    fn try_from(text: String) -> Result<Self, TooLong> {
        if text.len() <= MAX_DESCRIPTION_BYTES { Ok(Self(text)) } else { Err(TooLong(text.len())) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn payload(field: &str, value: Value) -> Value {
        let mut payload =
            json!({ "chargeId": "inv-2026-42", "customerId": "c-7", "amount": 1999, "currency": "EUR" });
        payload[field] = value;
        payload
    }

    fn read(payload: Value) -> Result<Charge, serde_json::Error> {
        serde_json::from_value(payload)
    }

    #[test]
    fn a_charge_has_its_keys_and_is_written_as_it_came() {
        let written = payload("description", json!("Drum, snare"));
        let charge = read(written.clone()).unwrap();
        assert_eq!(charge.idempotency_key().unwrap(), "charge:inv-2026-42");
        assert_eq!(charge.lock().unwrap(), "customer:c-7");
        assert_eq!(serde_json::to_value(&charge).unwrap(), written);
        let plain = payload("amount", json!(1));
        assert_eq!(serde_json::to_value(read(plain.clone()).unwrap()).unwrap(), plain);
    }

    #[test]
    fn what_is_no_charge_does_not_fit() {
        for (field, value) in [
            ("chargeId", json!("inv 42")),
            ("chargeId", json!("a\r\nx: y")),
            ("customerId", json!("")),
            ("amount", json!(0)),
            ("amount", json!(-5)),
            ("amount", json!(19.99)),
            ("amount", json!(100_000_000)),
            ("amount", json!("1999")),
            ("currency", json!("eur")),
            ("currency", json!("EURO")),
            ("currency", json!("€")),
            ("description", json!("x".repeat(501))),
            ("tip", json!(1)),
        ] {
            assert!(read(payload(field, value.clone())).is_err(), "{field}: {value}");
        }
        for (field, value) in [("amount", json!(99_999_999)), ("description", json!("x".repeat(500)))] {
            assert!(read(payload(field, value)).is_ok(), "{field}");
        }
    }
}
