//! The attributes of this process.

use drumline_runtime::variable;
use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;

use crate::variables::Variables;

/// Returns the attributes of this process: those of `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`.
pub(crate) fn resource() -> Resource {
    // The SDK reads both, and leaves the attributes percent-encoded.
    let attributes = Variables(variable).resource_attributes();
    // `OTEL_SERVICE_NAME`, which the SDK reads, comes before the attribute.
    let is_named = variable("OTEL_SERVICE_NAME").is_some_and(|name| !name.is_empty());
    let attributes = attributes.into_iter().filter(|(name, _)| !is_named || name != "service.name");
    let attributes = attributes.map(|(name, value)| KeyValue::new(name, value));
    Resource::builder().with_attributes(attributes).build()
}
