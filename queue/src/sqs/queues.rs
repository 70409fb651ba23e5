//! Operations on queues: creates, finds, describes, tags, purges and deletes them.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::machine::{FIRST_SEQUENCE_NUMBER, Queue, Sqs, no_such_queue, queue_name};
use crate::api::{
    CreateQueue, GetQueueAttributes, GetQueueAttributesReply, GetQueueUrl, ListDeadLetterSourceQueues,
    ListDeadLetterSourceQueuesReply, ListQueueTagsReply, ListQueues, ListQueuesReply, OneQueue,
    QueueUrlReply, SetQueueAttributes, TagQueue, UntagQueue,
};
use crate::checks;
use crate::dedup::Deduplication;
use crate::error::{ErrorCode, SqsError};
use crate::limits::{
    DELETED_NAME_INTERVAL, LIST_PAGE, MAX_QUEUES, MAX_TAG_KEY_LENGTH, MAX_TAG_VALUE_LENGTH, MAX_TAGS,
    PURGE_INTERVAL,
};
use crate::settings::{COMPUTED, Settings, is_known};
use crate::store::Store;
use crate::time::Timestamp;

impl Sqs {
    /// Creates a queue, or returns the existing one of that name if its attributes do not conflict.
    ///
    /// # Errors
    ///
    /// `QueueNameExists`, `QueueDeletedRecently`, `InvalidAttributeName`, `InvalidAttributeValue`,
    /// `InvalidParameterValue`, and `OverLimit` beyond [`MAX_QUEUES`].
    pub fn create_queue(&mut self, now: Timestamp, request: CreateQueue) -> Result<QueueUrlReply, SqsError> {
        let name = request.queue_name;
        checks::queue_name(&name)?;
        if let Some(unknown) = request.attributes.keys().find(|name| COMPUTED.contains(&name.as_str())) {
            return Err(unknown_attribute(unknown));
        }
        let settings = Settings::new(&name, &request.attributes)?;
        let reply = QueueUrlReply { queue_url: self.queue_url(&name) };
        if let Some(queue) = self.queues.get(&name) {
            return match queue.settings.first_difference(&request.attributes) {
                None => Ok(reply),
                Some(attribute) => Err(SqsError::new(
                    ErrorCode::QueueNameExists,
                    format!(
                        "A queue already exists with the same name and a different value for attribute {attribute}"
                    ),
                )),
            };
        }
        self.deleted.retain(|_, deleted_at| now.since(*deleted_at) < DELETED_NAME_INTERVAL);
        if self.deleted.contains_key(&name) {
            return Err(SqsError::new(
                ErrorCode::QueueDeletedRecently,
                "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
            ));
        }
        if self.queues.len() >= MAX_QUEUES {
            let message = format!("This endpoint holds at most {MAX_QUEUES} queues.");
            return Err(SqsError::new(ErrorCode::OverLimit, message));
        }
        self.check_dead_letter_queue(&name, &settings)?;
        let mut tags = BTreeMap::new();
        add_tags(&mut tags, request.tags)?;
        let queue = Queue {
            instance: self.ids.next_u64(),
            arn: self.queue_arn(&name).into(),
            store: Store::new(settings.fifo),
            settings,
            tags,
            created_at: now,
            modified_at: now,
            purged_at: None,
            deduplication: Deduplication::default(),
            next_sequence_number: FIRST_SEQUENCE_NUMBER,
        };
        self.queues.insert(name, queue);
        Ok(reply)
    }

    /// Deletes a queue with its messages. Its name is blocked for 60 seconds.
    pub fn delete_queue(&mut self, now: Timestamp, request: &OneQueue) -> Result<(), SqsError> {
        let name = queue_name(&request.queue_url);
        self.queues.remove(name).ok_or_else(no_such_queue)?;
        self.deleted.retain(|_, deleted_at| now.since(*deleted_at) < DELETED_NAME_INTERVAL);
        self.deleted.insert(name.to_owned(), now);
        Ok(())
    }

    /// Returns the URL of the queue with this name.
    pub fn get_queue_url(&self, request: &GetQueueUrl) -> Result<QueueUrlReply, SqsError> {
        if !self.queues.contains_key(&request.queue_name) {
            return Err(no_such_queue());
        }
        Ok(QueueUrlReply { queue_url: self.queue_url(&request.queue_name) })
    }

    /// Returns the URLs of all queues, or of those whose names begin with a prefix, in name order.
    pub fn list_queues(&self, request: &ListQueues) -> Result<ListQueuesReply, SqsError> {
        let prefix = request.queue_name_prefix.as_deref().unwrap_or_default();
        let names = self.names_after(request.next_token.as_deref()).filter(|name| name.starts_with(prefix));
        let (queue_urls, next_token) = self.page(names, request.max_results)?;
        Ok(ListQueuesReply { queue_urls, next_token })
    }

    /// Returns the URLs of the queues whose redrive policy names this queue.
    pub fn list_dead_letter_source_queues(
        &self,
        request: &ListDeadLetterSourceQueues,
    ) -> Result<ListDeadLetterSourceQueuesReply, SqsError> {
        let queue = self.queues.get(queue_name(&request.queue_url)).ok_or_else(no_such_queue)?;
        let names = self
            .names_after(request.next_token.as_deref())
            .filter(|name| self.queues[*name].sends_dead_letters_to(&queue.arn));
        let (queue_urls, next_token) = self.page(names, request.max_results)?;
        Ok(ListDeadLetterSourceQueuesReply { queue_urls, next_token })
    }

    /// Returns a queue's attributes.
    ///
    /// # Errors
    ///
    /// `InvalidAttributeName`, `QueueDoesNotExist`.
    pub fn get_queue_attributes(
        &mut self,
        now: Timestamp,
        request: &GetQueueAttributes,
    ) -> Result<GetQueueAttributesReply, SqsError> {
        let queue = self.queue_at(now, &request.queue_url)?;
        let names = &request.attribute_names;
        if let Some(unknown) = names.iter().find(|name| *name != "All" && !is_known(name)) {
            return Err(unknown_attribute(unknown));
        }
        let mut attributes = queue.attributes();
        if !names.iter().any(|name| name == "All") {
            attributes.retain(|name, _| names.contains(name));
        }
        Ok(GetQueueAttributesReply { attributes })
    }

    /// Changes a queue's attributes: all of them, or none if there is an error.
    ///
    /// # Errors
    ///
    /// `InvalidAttributeName`, `InvalidAttributeValue`, `InvalidParameterValue`, `QueueDoesNotExist`.
    pub fn set_queue_attributes(
        &mut self,
        now: Timestamp,
        request: &SetQueueAttributes,
    ) -> Result<(), SqsError> {
        let name = queue_name(&request.queue_url);
        let settings = self.queue_at(now, name)?.settings.changed(&request.attributes)?;
        self.check_dead_letter_queue(name, &settings)?;
        let queue = self.queues.get_mut(name).ok_or_else(no_such_queue)?;
        if settings.fifo && settings.delay != queue.settings.delay {
            queue.store.redelay(settings.delay, now);
        }
        queue.settings = settings;
        queue.modified_at = now;
        Ok(())
    }

    /// Deletes all messages of a queue, including those in flight.
    ///
    /// # Errors
    ///
    /// `PurgeQueueInProgress` within 60 seconds of the last purge, `QueueDoesNotExist`.
    pub fn purge_queue(&mut self, now: Timestamp, request: &OneQueue) -> Result<(), SqsError> {
        let queue = self.queue_at(now, &request.queue_url)?;
        if queue.purged_at.is_some_and(|purged_at| now.since(purged_at) < PURGE_INTERVAL) {
            let name = queue_name(&request.queue_url);
            let message = format!("Only one PurgeQueue operation on {name} is allowed every 60 seconds.");
            return Err(SqsError::new(ErrorCode::PurgeQueueInProgress, message));
        }
        queue.purged_at = Some(now);
        queue.store.clear();
        Ok(())
    }

    /// Adds or replaces tags.
    ///
    /// # Errors
    ///
    /// `InvalidParameterValue` for more than 50 tags or too long ones, `QueueDoesNotExist`.
    pub fn tag_queue(&mut self, request: TagQueue) -> Result<(), SqsError> {
        let queue = self.queues.get_mut(queue_name(&request.queue_url)).ok_or_else(no_such_queue)?;
        add_tags(&mut queue.tags, request.tags)
    }

    /// Removes tags; keys that do not exist are ignored.
    pub fn untag_queue(&mut self, request: &UntagQueue) -> Result<(), SqsError> {
        let queue = self.queues.get_mut(queue_name(&request.queue_url)).ok_or_else(no_such_queue)?;
        queue.tags.retain(|key, _| !request.tag_keys.contains(key));
        Ok(())
    }

    /// Returns a queue's tags.
    pub fn list_queue_tags(&self, request: &OneQueue) -> Result<ListQueueTagsReply, SqsError> {
        let queue = self.queues.get(queue_name(&request.queue_url)).ok_or_else(no_such_queue)?;
        Ok(ListQueueTagsReply { tags: queue.tags.clone() })
    }

    /// Checks that queue `name` may use the dead-letter queue in these settings: it exists, has the same type, and allows it.
    fn check_dead_letter_queue(&self, name: &str, settings: &Settings) -> Result<(), SqsError> {
        let Some(redrive) = &settings.redrive else { return Ok(()) };
        let invalid = |reason: &str| {
            Err(SqsError::invalid_value("RedrivePolicy", &settings.shown()["RedrivePolicy"], reason))
        };
        let target =
            self.name_in_arn(&redrive.dead_letter_target_arn).and_then(|target| self.queues.get(target));
        match target {
            None => invalid("Dead letter target does not exist."),
            Some(target) if target.settings.fifo != settings.fifo => {
                invalid("Dead-letter queue must be same type of queue as the source.")
            }
            Some(target) if !target.settings.redrive_allow.allows(&self.queue_arn(name)) => {
                invalid("Queue does not have permission to use specified dead letter queue.")
            }
            Some(_) => Ok(()),
        }
    }

    fn names_after(&self, token: Option<&str>) -> impl Iterator<Item = &str> {
        let start = token.map_or(Bound::Unbounded, Bound::Excluded);
        self.queues.range::<str, _>((start, Bound::Unbounded)).map(|(name, _)| name.as_str())
    }

    /// Returns one page of queue URLs and the token for the next page: the last name on this page.
    fn page<'a>(
        &self,
        mut names: impl Iterator<Item = &'a str>,
        max_results: Option<i64>,
    ) -> Result<(Vec<String>, Option<String>), SqsError> {
        let max = max_results.unwrap_or(*LIST_PAGE.end());
        if !LIST_PAGE.contains(&max) {
            return Err(SqsError::invalid_value(
                "MaxResults",
                max,
                "Must be between 1 and 1000, if provided.",
            ));
        }
        let max = usize::try_from(max).expect("checked to be within 1..=1000");
        let page: Vec<&str> = names.by_ref().take(max).collect();
        let next_token = page.last().filter(|_| names.next().is_some()).map(ToString::to_string);
        Ok((page.into_iter().map(|name| self.queue_url(name)).collect(), next_token))
    }
}

impl Queue {
    /// Returns all attributes in their text form.
    fn attributes(&self) -> BTreeMap<String, String> {
        let counts = self.store.counts();
        let computed = [
            ("ApproximateNumberOfMessages", counts.visible.to_string()),
            ("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string()),
            ("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string()),
            ("CreatedTimestamp", self.created_at.as_secs().to_string()),
            ("LastModifiedTimestamp", self.modified_at.as_secs().to_string()),
            ("QueueArn", self.arn.to_string()),
        ];
        let mut attributes = self.settings.shown().clone();
        attributes.extend(computed.map(|(name, value)| (name.to_owned(), value)));
        attributes
    }

    pub(super) fn sends_dead_letters_to(&self, arn: &str) -> bool {
        self.settings.redrive.as_ref().is_some_and(|redrive| redrive.dead_letter_target_arn == arn)
    }
}

fn unknown_attribute(name: &str) -> SqsError {
    SqsError::new(ErrorCode::InvalidAttributeName, format!("Unknown Attribute {name}."))
}

fn add_tags(tags: &mut BTreeMap<String, String>, added: BTreeMap<String, String>) -> Result<(), SqsError> {
    let invalid = |message: String| Err(SqsError::new(ErrorCode::InvalidParameterValue, message));
    for (key, value) in &added {
        let key_length = key.chars().count();
        if key_length == 0 || key_length > MAX_TAG_KEY_LENGTH || value.chars().count() > MAX_TAG_VALUE_LENGTH
        {
            return invalid(format!(
                "Tag keys must be between 1 and {MAX_TAG_KEY_LENGTH} characters in length, values at most \
                 {MAX_TAG_VALUE_LENGTH}."
            ));
        }
    }
    let new = added.keys().filter(|key| !tags.contains_key(*key)).count();
    if tags.len() + new > MAX_TAGS {
        return invalid(format!("Too many tags, a queue has at most {MAX_TAGS}."));
    }
    tags.extend(added);
    Ok(())
}
