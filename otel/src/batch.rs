//! The encoded spans that wait for their export.
//!
//! A task exports them: it sleeps until a span ends, and from then on for the delay, or until a batch is full. A process without recorded
//! spans never wakes up for it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::collector::Collector;
use crate::export_error::ExportError;
use crate::resource::scope;
use crate::variables::BatchLimits;
use crate::wire;

/// The spans of a process that wait, and their way to the collector.
#[derive(Debug)]
pub(crate) struct SpanBatches {
    collector: Collector,
    limits: BatchLimits,
    head: Head,
    waiting: Mutex<Waiting>,
    /// The first span waits.
    first: Notify,
    /// A batch is full.
    full: Notify,
    /// Held during an export, so that a flush ends after an export that has begun. True if the last one failed.
    exporting: tokio::sync::Mutex<bool>,
}

#[derive(Debug, Default)]
struct Waiting {
    batches: VecDeque<Batch>,
    spans: usize,
    dropped: usize,
}

/// Encoded spans, each as a field of the request.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    spans: usize,
}

/// The parts of each request before its spans.
#[derive(Debug)]
struct Head {
    resource: Vec<u8>,
    scope: Vec<u8>,
}

impl SpanBatches {
    /// Returns an empty queue for the spans of a process with these attributes.
    pub(crate) fn new(collector: Collector, resource: Vec<KeyValue>, limits: BatchLimits) -> Self {
        Self {
            collector,
            limits,
            head: Head::new(resource),
            waiting: Mutex::default(),
            first: Notify::new(),
            full: Notify::new(),
            exporting: tokio::sync::Mutex::default(),
        }
    }

    /// Adds an encoded span.
    pub(crate) fn add(&self, span: &[u8]) {
        let mut waiting = self.lock();
        if waiting.spans >= self.limits.queue {
            waiting.dropped += 1;
            return;
        }
        waiting.spans += 1;
        let spans = waiting.spans;
        waiting.add(span, self.limits.batch);
        drop(waiting);
        if spans == 1 {
            self.first.notify_one();
        }
        if spans == self.limits.batch {
            self.full.notify_one();
        }
    }

    /// Exports batches for as long as it is polled.
    pub(crate) async fn repeat(self: Arc<Self>) {
        loop {
            self.first.notified().await;
            // Either ends the wait.
            let _ = timeout(self.limits.delay, self.full.notified()).await;
            self.export().await;
        }
    }

    /// Exports what waits. Returns false if that failed, which is logged, or if nothing waits and the last export failed.
    pub(crate) async fn export(&self) -> bool {
        let mut has_failed = self.exporting.lock().await;
        let Waiting { batches, dropped, .. } = std::mem::take(&mut *self.lock());
        if dropped > 0 {
            self.collector.lost(dropped, &ExportError::QueueFull(self.limits.queue));
        }
        if !batches.is_empty() {
            *has_failed = false;
        }
        for Batch { bytes, spans } in batches {
            *has_failed |= self.collector.export(self.head.request(&bytes), spans).await.is_err();
        }
        !*has_failed
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn add(&mut self, span: &[u8], most: usize) {
        if self.batches.back().is_none_or(|batch| batch.spans >= most) {
            self.batches.push_back(Batch::default());
        }
        if let Some(batch) = self.batches.back_mut() {
            // `spans` of `ScopeSpans`.
            wire::bytes(&mut batch.bytes, 2, span);
            batch.spans += 1;
        }
    }
}

impl Head {
    fn new(attributes: Vec<KeyValue>) -> Self {
        let resource = Resource { attributes, ..Resource::default() }.encode_to_vec();
        Self { resource, scope: scope().encode_to_vec() }
    }

    /// Returns the request `ExportTraceServiceRequest` with these spans.
    fn request(&self, spans: &[u8]) -> Vec<u8> {
        let scope_spans = wire::field_length(self.scope.len()) + spans.len();
        let resource_spans = wire::field_length(self.resource.len()) + wire::field_length(scope_spans);
        let mut request = Vec::with_capacity(wire::field_length(resource_spans));
        wire::begin(&mut request, 1, resource_spans);
        wire::bytes(&mut request, 1, &self.resource);
        wire::begin(&mut request, 2, scope_spans);
        wire::bytes(&mut request, 1, &self.scope);
        request.extend_from_slice(spans);
        request
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::Span;

    use super::*;

    #[test]
    fn spans_wait_in_batches_and_a_request_names_their_process() {
        let mut waiting = Waiting::default();
        for name in ["a", "b", "c"] {
            let span = Span { name: name.to_owned(), ..Span::default() };
            waiting.add(&span.encode_to_vec(), 2);
        }
        let head = Head::new(vec![KeyValue { key: "k".to_owned(), ..KeyValue::default() }]);
        let names: Vec<Vec<String>> = waiting
            .batches
            .iter()
            .map(|batch| {
                let request = ExportTraceServiceRequest::decode(&*head.request(&batch.bytes)).unwrap();
                let resource = &request.resource_spans[0];
                assert_eq!(resource.resource.as_ref().unwrap().attributes[0].key, "k");
                let scope = &resource.scope_spans[0];
                assert_eq!(scope.scope.as_ref().unwrap().name, "drumline");
                assert_eq!(scope.spans.len(), batch.spans);
                scope.spans.iter().map(|span| span.name.clone()).collect()
            })
            .collect();
        assert_eq!(names, [vec!["a", "b"], vec!["c"]]);
    }
}
