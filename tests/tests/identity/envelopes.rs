//! The envelopes of jobs, as their services write them.

use serde_json::{Value, json};

/// The topic of all notifications.
pub(crate) const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:orders";

/// A job in the native envelope.
pub(crate) fn native(job_type: &str, job_id: &str) -> String {
    json!({ "type": job_type, "jobId": job_id, "payload": { "n": 1 } }).to_string()
}

/// A `CloudEvent` of type `order.created`.
pub(crate) fn cloud_event(source: &str, id: &str) -> String {
    let data = json!({ "n": 1 });
    json!({ "specversion": "1.0", "id": id, "source": source, "type": "order.created", "data": data })
        .to_string()
}

/// An SNS notification, as its JSON value.
pub(crate) fn notification(id: &str, message: &str) -> Value {
    json!({ "Type": "Notification", "MessageId": id, "TopicArn": TOPIC, "Message": message })
}

/// An `EventBridge` event of detail-type `Order Placed`, as its JSON value.
pub(crate) fn event(id: &str, detail: &Value) -> Value {
    json!({
        "version": "0", "id": id, "detail-type": "Order Placed", "source": "shop.orders", "account": "123456789012",
        "time": "2026-11-28T10:00:00Z", "region": "us-east-1", "resources": [], "detail": detail
    })
}

/// S3's event of a new object.
pub(crate) fn object_created(bucket: &str, key: &str) -> Value {
    json!({ "Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "s3": { "bucket": { "name": bucket }, "object": { "key": key, "size": 1 } }
    }]})
}
