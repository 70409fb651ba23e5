//! The least that a function for SQS can do with AWS's own runtime: decode the event, and answer that all went well. What
//! Drumline costs is measured beside it.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

#[tokio::main]
async fn main() -> Result<(), Error> {
    run(service_fn(|event: LambdaEvent<SqsEvent>| async move {
        assert!(!event.payload.records.is_empty(), "an event has records");
        Ok::<_, Error>(SqsBatchResponse::default())
    }))
    .await
}
