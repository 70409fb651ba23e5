//! Handlers that take many jobs of one type at once, for example one bulk insert for a hundred rows.
//!
//! [`Router::handle_batch`](crate::Router::handle_batch) adds one. Each item remains a separate job, with the message, lease,
//! claim, attempt number, deadline, history, metrics and log that a plain handler would have. Only the handler's call is
//! shared.
//!
//! ```
//! use drumline::batch::{BatchContext, BatchOptions, BatchResult, Item, Rest};
//! use drumline::{Job, Router};
//!
//! #[derive(serde::Deserialize)]
//! struct Row { name: String }
//!
//! impl Job for Row {
//!     const TYPE: &'static str = "row.insert";
//! }
//!
//! # struct Database;
//! # impl Database {
//! #     async fn insert(&self, _: &[(&str, &str)]) -> Result<(), std::io::Error> { Ok(()) }
//! # }
//! # static DATABASE: Database = Database;
//! async fn insert(_: BatchContext, items: Vec<Item<Row>>) -> BatchResult {
//!     // The job id makes each row of one job once, even if the job runs again.
//!     let rows: Vec<_> = items.iter().map(|item| (item.context.job_id(), &*item.job.name)).collect();
//!     // `?` on an error asks for another attempt at every item.
//!     DATABASE.insert(&rows).await?;
//!     Ok(Rest::Done)
//! }
//! # let router = Router::new().handle_batch(BatchOptions::new().max_items(500), insert);
//! # assert!(router.check().is_ok());
//! ```
//!
//! # Which items come together
//!
//! A batch contains items of one queue and one type, each with its claim. It starts when it has
//! [`max_items`](BatchOptions::max_items), when its [`linger`](BatchOptions::linger) is over, or when no other item can join
//! it: all slots of the worker are taken, or all messages of a Lambda function's invocation have arrived. So `concurrency` also
//! bounds a batch; `docs/batch-handlers.md` explains how to set it. On a FIFO queue one message of a group runs at a time, so a
//! batch has at most one of each group.
//!
//! # Outcomes
//!
//! [`Item::done`] and [`Item::failed`] settle one item; the returned [`BatchResult`] decides about the rest. The outcomes count
//! when the handler has returned. A panic fails the items that are not yet settled; the others keep their outcomes.
//!
//! # Stops
//!
//! A run that has to stop before its batch has started leaves it. During the batch only the item's own context is cancelled,
//! and the others continue: [`BatchContext::is_cancelled`] is true once no item is left. If an item's time ends and the handler
//! has not returned a second later, the item ends with the outcome that the handler gave it, or else as timed out. The handler
//! is dropped when its last item has ended so.

pub use crate::api::batch::{BatchHandler, BatchOptions, BatchResult, BatchRun, Item, Rest};
pub use crate::api::batch_context::BatchContext;
