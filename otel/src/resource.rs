//! The attributes of this process.

use drumline_runtime::variable;
use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;

use crate::variables::Variables;

/// Returns the attributes of this process: those of `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`.
pub(crate) fn resource() -> Resource {
    // The SDK reads both, leaves the attributes percent-encoded, and lets a service name among them come first.
    let attributes = Variables(variable).resource_attributes();
    let attributes = attributes.into_iter().map(|(name, value)| KeyValue::new(name, value));
    let builder = Resource::builder().with_attributes(attributes);
    match variable("OTEL_SERVICE_NAME").filter(|name| !name.is_empty()) {
        Some(name) => builder.with_service_name(name).build(),
        None => builder.build(),
    }
}
