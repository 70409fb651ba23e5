//! The SDK's exporter of spans.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::runtime::Handle;

use crate::collector::Collector;

/// Exports spans over the runtime of the program: the thread of the SDK's batches belongs to none.
#[derive(Debug)]
pub(crate) struct Exporter {
    collector: Arc<Collector>,
    runtime: Handle,
    resource: ResourceAttributesWithSchema,
}

impl Exporter {
    pub(crate) fn new(collector: Collector, runtime: Handle) -> Self {
        let resource = ResourceAttributesWithSchema::default();
        Self { collector: Arc::new(collector), runtime, resource }
    }
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let collector = Arc::clone(&self.collector);
        let export =
            async move { collector.export(&ExportTraceServiceRequest { resource_spans }, spans).await };
        let failure = |text: String| Err(OTelSdkError::InternalFailure(text));
        match self.runtime.spawn(export).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => failure(error.to_string()),
            Err(error) => failure(error.to_string()),
        }
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}
