//! The attributes of this process, and the scope of its spans and metrics.

use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_sdk::Resource;

use crate::variables::Variables;

/// Identifies this process among those of its service: without it, the cumulative metrics of two workers would look like those of one that
/// jumps back and forth.
const INSTANCE: &str = "service.instance.id";

/// Returns the attributes of this process: those of the variables, and an ID of its own.
pub(crate) fn resource<F: Fn(&str) -> Option<String>>(variables: &Variables<F>) -> Resource {
    let attributes = variables.resource_attributes();
    let has_instance = attributes.iter().any(|(name, _)| name == INSTANCE);
    let attributes = attributes.into_iter().map(|(name, value)| KeyValue::new(name, value));
    let own = (!has_instance).then(|| KeyValue::new(INSTANCE, random_uuid(fastrand::u128(..))));
    // The SDK reads the variables too, and leaves their attributes percent-encoded; what is added here comes first.
    Resource::builder().with_attributes(attributes).with_attributes(own).build()
}

/// Returns the scope of all spans and metrics.
pub(crate) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "drumline".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

/// Returns a UUID of version 4 from random bits.
fn random_uuid(bits: u128) -> String {
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_an_id_of_its_own_unless_it_is_given_one() {
        let of = |attributes: &'static str| {
            let given = move |name: &str| (name == "OTEL_RESOURCE_ATTRIBUTES").then(|| attributes.to_owned());
            let resource = resource(&Variables(given));
            let id = resource.iter().find(|(key, _)| key.as_str() == INSTANCE);
            id.map(|(_, value)| value.to_string())
        };
        assert_eq!(of("service.instance.id=worker-7").as_deref(), Some("worker-7"));
        assert_ne!(of("a=b"), of("a=b"));
        assert_eq!(random_uuid(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(random_uuid(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
