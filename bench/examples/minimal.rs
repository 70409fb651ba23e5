//! The minimal SQS function with AWS's own runtime: it decodes the event, and reports success. The cost of Drumline is measured
//! in comparison with it.

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
