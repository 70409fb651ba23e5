//! The table: reads, and conditional writes of one or several items.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update};

use super::changes::Change;
use super::items::{Id, Item};
use crate::store::{StoreError, StoreErrorText, now_ms};

/// The number of attempts for a write that conflicts with another transaction. The SDK does not retry these.
const TRIES: u32 = 6;

/// The longest wait before the second attempt, doubled for each further one. The actual wait is random.
const BACKOFF: Duration = Duration::from_millis(20);

/// The reason why one of several changes was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The change's own conditions were met.
    Met,
    /// The conditions were not met by this item, or by its absence.
    Unmet(Option<Box<Item>>),
}

/// A table, and the client for it.
#[derive(Debug, Clone)]
pub(super) struct Table {
    client: Client,
    name: String,
}

impl Table {
    pub(super) fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// Reads the current item, unless it has expired.
    pub(super) async fn read(&self, id: Id<'_>) -> Result<Option<Item>, StoreError> {
        let found = self.read_even_expired(id).await?;
        Ok(found.filter(|item| !item.is_expired(now_ms())))
    }

    pub(super) async fn read_even_expired(&self, id: Id<'_>) -> Result<Option<Item>, StoreError> {
        let read = self.client.get_item().table_name(&self.name).key("id", id.attribute());
        let answer = read.consistent_read(true).send().await.map_err(failed)?;
        Ok(answer.item.as_ref().map(Item::read))
    }

    /// Makes a change without conditions.
    pub(super) async fn put(&self, change: Change) -> Result<(), StoreError> {
        self.update(change, ReturnValue::None).await.map(|_| ())
    }

    /// Makes a change without conditions. Returns true if the item existed before.
    pub(super) async fn put_over(&self, change: Change) -> Result<bool, StoreError> {
        let written = self.update(change, ReturnValue::AllOld).await?;
        Ok(written.is_ok_and(|written| written.attributes.is_some_and(|before| !before.is_empty())))
    }

    /// Makes a change, and returns the resulting item.
    pub(super) async fn write_one(&self, change: Change) -> Result<Result<Item, Failure>, StoreError> {
        let written = self.update(change, ReturnValue::AllNew).await?;
        Ok(written.map(|written| written.attributes.as_ref().map(Item::read).unwrap_or_default()))
    }

    /// Makes all changes or none. Returns for each change if it caused the failure.
    pub(super) async fn write(&self, changes: Vec<Change>) -> Result<Result<(), Vec<Failure>>, StoreError> {
        match <[Change; 1]>::try_from(changes) {
            Ok([change]) => {
                let written = self.update(change, ReturnValue::None).await?;
                Ok(written.map(|_| ()).map_err(|failure| vec![failure]))
            }
            Err(changes) => self.transact(changes).await,
        }
    }

    async fn update(
        &self,
        change: Change,
        wanted: ReturnValue,
    ) -> Result<Result<UpdateItemOutput, Failure>, StoreError> {
        for tried in 1.. {
            let update = self
                .client
                .update_item()
                .table_name(&self.name)
                .key("id", change.id.clone())
                .update_expression(change.update())
                .set_condition_expression(change.condition())
                .set_expression_attribute_names(Some(change.names.clone()))
                .set_expression_attribute_values(change.values())
                .return_values(wanted.clone())
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            let error = match update.send().await {
                Ok(written) => return Ok(Ok(written)),
                Err(error) => error,
            };
            match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(unmet)) => {
                    return Ok(Err(Failure::Unmet(unmet.item().map(|item| Box::new(Item::read(item))))));
                }
                Some(UpdateItemError::TransactionConflictException(_)) if tried < TRIES => {
                    back_off(tried).await;
                }
                _ => return Err(failed(error)),
            }
        }
        unreachable!("the loop ends by returning")
    }

    async fn transact(&self, changes: Vec<Change>) -> Result<Result<(), Vec<Failure>>, StoreError> {
        for tried in 1.. {
            let writes = changes.iter().map(|change| {
                let update = Update::builder()
                    .table_name(&self.name)
                    .key("id", change.id.clone())
                    .update_expression(change.update())
                    .set_condition_expression(change.condition())
                    .set_expression_attribute_names(Some(change.names.clone()))
                    .set_expression_attribute_values(change.values())
                    .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
                let update = update.build().expect("table, key and expression are set");
                TransactWriteItem::builder().update(update).build()
            });
            let transaction = self.client.transact_write_items().set_transact_items(Some(writes.collect()));
            let Err(error) = transaction.send().await else { return Ok(Ok(())) };
            let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) =
                error.as_service_error()
            else {
                return Err(failed(error));
            };
            let reasons = canceled.cancellation_reasons();
            let is = |code: &str| reasons.iter().any(|reason| reason.code() == Some(code));
            if is("ConditionalCheckFailed") {
                let failures = reasons.iter().map(|reason| match reason.code() {
                    Some("ConditionalCheckFailed") => {
                        Failure::Unmet(reason.item().map(|item| Box::new(Item::read(item))))
                    }
                    _ => Failure::Met,
                });
                return Ok(Err(failures.collect()));
            }
            if !is("TransactionConflict") || tried >= TRIES {
                return Err(failed(error));
            }
            back_off(tried).await;
        }
        unreachable!("the loop ends by returning")
    }
}

async fn back_off(tried: u32) {
    let longest = BACKOFF * 2_u32.saturating_pow(tried.saturating_sub(1));
    tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
}

fn failed<E>(error: SdkError<E>) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let text = format!("DynamoDB: {}", DisplayErrorContext(&error));
    // The texts are "Item size has exceeded the maximum allowed size" and the corresponding text for an update.
    let is_too_large = error.code() == Some("ValidationException")
        && error.message().is_some_and(|message| message.contains("maximum allowed size"));
    // Without the response, whose headers and body are not needed.
    let text = match error.into_source() {
        Ok(source) => StoreErrorText::about(source, text),
        Err(_) => text.into(),
    };
    if is_too_large { StoreError::Refused(text) } else { StoreError::Unanswered(text) }
}
