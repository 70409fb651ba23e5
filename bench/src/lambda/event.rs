//! The event for the functions.

/// The number of messages in an event: SQS's default batch size.
pub(super) const BATCH: usize = 10;

/// Returns an event as Lambda sends it.
pub(super) fn event() -> String {
    let records: Vec<serde_json::Value> = (0..BATCH)
        .map(|n| {
            let body =
                serde_json::json!({ "type": "noop", "payload": { "n": n, "filler": "x".repeat(200) } });
            serde_json::json!({
                "messageId": format!("059f36b4-87a3-44ab-83d2-66197{n:07}"),
                "receiptHandle": "AQEB".repeat(40),
                "body": body.to_string(),
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1545082649183",
                    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                    "ApproximateFirstReceiveTimestamp": "1545082649185",
                },
                "messageAttributes": {},
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:jobs",
                "awsRegion": "eu-central-1",
            })
        })
        .collect();
    serde_json::json!({ "Records": records }).to_string()
}
