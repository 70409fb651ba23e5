//! Runs a scenario through the SDK and records the observations.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message, MessageAttributeValue,
    MessageSystemAttributeName, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
    QueueAttributeName, SendMessageBatchRequestEntry,
};

use crate::normal::{Names, error_code, failed_entry, system_value};
use crate::script::{Handle, Outgoing, Receiving, Scenario, Step};

/// The interval between requests of [`Step::Until`], and its time limit.
const ASK_EVERY: Duration = Duration::from_millis(100);
const ASK_FOR: Duration = Duration::from_secs(30);

/// One scenario on one endpoint.
pub(crate) struct Run {
    client: Client,
    steps: Vec<Step>,
    /// Separates the queues of runs and scenarios.
    prefix: String,
    ids: Names,
    numbers: Names,
    handles: Vec<String>,
}

impl Run {
    pub(crate) fn new(client: Client, scenario: &Scenario) -> Self {
        let prefix = format!("{}-{:x}-", scenario.name.replace(' ', "-"), std::process::id());
        let (ids, numbers) = (Names::default(), Names::default());
        Self { client, steps: scenario.steps.clone(), prefix, ids, numbers, handles: Vec::new() }
    }

    /// Returns the observation of each step.
    pub(crate) async fn all(mut self) -> Vec<String> {
        let mut observations = Vec::new();
        for step in self.steps.clone() {
            let observation = self.step(step).await;
            observations.push(observation.replace(&self.prefix, ""));
        }
        observations
    }

    fn name(&self, queue: &str) -> String {
        format!("{}{queue}", self.prefix)
    }

    /// Returns the queue's URL in the form that both sides accept: they must refuse a wrong queue, not this code.
    async fn url(&self, queue: &str) -> String {
        let found = self.client.get_queue_url().queue_name(self.name(queue)).send().await;
        found
            .ok()
            .and_then(|reply| reply.queue_url)
            .unwrap_or_else(|| format!("http://127.0.0.1/000000000000/{}", self.name(queue)))
    }

    fn arn(&self, queue: &str) -> String {
        format!("arn:aws:sqs:us-east-1:000000000000:{}", self.name(queue))
    }

    /// Returns an attribute's value, with `{{queue}}` replaced by that queue's ARN.
    fn value(&self, value: &str) -> String {
        match (value.find("{{"), value.find("}}")) {
            (Some(start), Some(end)) => {
                format!("{}{}{}", &value[..start], self.arn(&value[start + 2..end]), &value[end + 2..])
            }
            _ => value.to_owned(),
        }
    }

    fn handle(&self, handle: Handle) -> String {
        match handle {
            Handle::Of(index) => self.handles[index].clone(),
            Handle::Text(text) => text.to_owned(),
        }
    }

    #[allow(clippy::too_many_lines, reason = "one arm per action")]
    async fn step(&mut self, step: Step) -> String {
        let client = self.client.clone();
        match step {
            Step::Create(queue, attributes) => {
                let mut create = client.create_queue().queue_name(self.name(queue));
                for (name, value) in attributes {
                    create = create.attributes(QueueAttributeName::from(name), self.value(value));
                }
                told(create.send().await, |_| "created".into())
            }
            Step::Delete(queue) => {
                told(client.delete_queue().queue_url(self.url(queue).await).send().await, done)
            }
            Step::Url(queue) => {
                told(client.get_queue_url().queue_name(self.name(queue)).send().await, |reply| {
                    last_part(reply.queue_url().unwrap_or_default())
                })
            }
            Step::List(prefix) => {
                let list = client.list_queues().queue_name_prefix(self.name(prefix)).send().await;
                told(list, |reply| names(reply.queue_urls()))
            }
            Step::Get(queue, attributes) => self.get(queue, &attributes).await,
            Step::Set(queue, name, value) => {
                let set = client.set_queue_attributes().queue_url(self.url(queue).await);
                told(set.attributes(QueueAttributeName::from(name), self.value(value)).send().await, done)
            }
            Step::Send(queue, message) => self.send(queue, message).await,
            Step::SendBatch(queue, entries) => self.send_batch(queue, entries).await,
            Step::Receive(queue, receiving) => self.receive(queue, &receiving).await,
            Step::Remove(queue, handle) => {
                let delete = client.delete_message().queue_url(self.url(queue).await);
                told(delete.receipt_handle(self.handle(handle)).send().await, done)
            }
            Step::RemoveBatch(queue, entries) => {
                let entry = |(id, handle)| {
                    let builder = DeleteMessageBatchRequestEntry::builder();
                    builder.id(id).receipt_handle(self.handle(handle)).build().unwrap()
                };
                let entries = entries.into_iter().map(entry).collect();
                let delete = client.delete_message_batch().queue_url(self.url(queue).await);
                told(delete.set_entries(Some(entries)).send().await, |reply| {
                    let good = reply.successful().iter().map(|entry| format!("{} done", entry.id()));
                    sorted(good.chain(reply.failed().iter().map(failed_entry)))
                })
            }
            Step::Hide(queue, handle, secs) => {
                let change = client.change_message_visibility().queue_url(self.url(queue).await);
                let change = change.receipt_handle(self.handle(handle)).visibility_timeout(secs);
                told(change.send().await, done)
            }
            Step::HideBatch(queue, entries) => {
                let entry = |(id, handle, secs)| {
                    let builder = ChangeMessageVisibilityBatchRequestEntry::builder().id(id);
                    builder.receipt_handle(self.handle(handle)).visibility_timeout(secs).build().unwrap()
                };
                let entries = entries.into_iter().map(entry).collect();
                let change = client.change_message_visibility_batch().queue_url(self.url(queue).await);
                told(change.set_entries(Some(entries)).send().await, |reply| {
                    let good = reply.successful().iter().map(|entry| format!("{} done", entry.id()));
                    sorted(good.chain(reply.failed().iter().map(failed_entry)))
                })
            }
            Step::Purge(queue) => {
                told(client.purge_queue().queue_url(self.url(queue).await).send().await, done)
            }
            Step::Sources(queue) => {
                let list = client.list_dead_letter_source_queues().queue_url(self.url(queue).await);
                told(list.send().await, |reply| names(reply.queue_urls()))
            }
            Step::Tag(queue, key, value) => {
                told(client.tag_queue().queue_url(self.url(queue).await).tags(key, value).send().await, done)
            }
            Step::Untag(queue, key) => {
                told(client.untag_queue().queue_url(self.url(queue).await).tag_keys(key).send().await, done)
            }
            Step::Tags(queue) => {
                told(client.list_queue_tags().queue_url(self.url(queue).await).send().await, |reply| {
                    sorted(reply.tags().into_iter().flatten().map(|(key, value)| format!("{key}={value}")))
                })
            }
            Step::Move(from, to) => {
                let start = client.start_message_move_task().source_arn(self.arn(from));
                let start = start.set_destination_arn(to.map(|queue| self.arn(queue)));
                told(start.send().await, |_| "started".into())
            }
            Step::Moves(from) => {
                let list = client.list_message_move_tasks().source_arn(self.arn(from)).max_results(10);
                told(list.send().await, |reply| {
                    let tasks = reply.results().iter();
                    let shown = tasks.map(|task| {
                        let status = task.status().unwrap_or_default();
                        format!(
                            "{status} {} moved {:?}",
                            task.approximate_number_of_messages_moved(),
                            task.failure_reason()
                        )
                    });
                    shown.collect::<Vec<_>>().join(", ")
                })
            }
            Step::Until(queue, name, value) => self.until(queue, name, value).await,
        }
    }

    async fn get(&self, queue: &str, attributes: &[&str]) -> String {
        let mut get = self.client.get_queue_attributes().queue_url(self.url(queue).await);
        for name in attributes {
            get = get.attribute_names(QueueAttributeName::from(*name));
        }
        told(get.send().await, |reply| {
            let attributes = reply.attributes().into_iter().flatten();
            sorted(attributes.map(|(name, value)| match name {
                QueueAttributeName::CreatedTimestamp | QueueAttributeName::LastModifiedTimestamp => {
                    format!("{name}=a time")
                }
                _ => format!("{name}={value}"),
            }))
        })
    }

    async fn until(&self, queue: &str, name: &str, value: &str) -> String {
        let wanted = format!("{name}={value}");
        let reached = async {
            while self.get(queue, &[name]).await != wanted {
                tokio::time::sleep(ASK_EVERY).await;
            }
        };
        match tokio::time::timeout(ASK_FOR, reached).await {
            Ok(()) => wanted,
            Err(_) => format!("not {wanted} but {}", self.get(queue, &[name]).await),
        }
    }

    async fn send(&mut self, queue: &str, message: Outgoing) -> String {
        let mut send = self.client.send_message().queue_url(self.url(queue).await).message_body(message.body);
        for (name, data_type, value) in message.attributes {
            send = send.message_attributes(name, attribute(data_type, value));
        }
        if let Some(header) = message.trace {
            send = send
                .message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace(header));
        }
        let send = send.set_delay_seconds(message.delay).set_message_group_id(message.group.map(Into::into));
        match send.set_message_deduplication_id(message.deduplication.map(Into::into)).send().await {
            Err(error) => error_code(&error),
            Ok(reply) => {
                let id = self.ids.of(reply.message_id().unwrap_or_default());
                let numbered = reply.sequence_number().is_some();
                let body = reply.md5_of_message_body().unwrap_or_default();
                let attributes = reply.md5_of_message_attributes();
                let system = reply.md5_of_message_system_attributes();
                format!("sent {id} numbered {numbered} md5 {body} {attributes:?} {system:?}")
            }
        }
    }

    async fn send_batch(&mut self, queue: &str, entries: Vec<(&'static str, Outgoing)>) -> String {
        let entry = |(id, message): (&str, Outgoing)| {
            let mut entry = SendMessageBatchRequestEntry::builder().id(id).message_body(message.body);
            for (name, data_type, value) in message.attributes {
                entry = entry.message_attributes(name, attribute(data_type, value));
            }
            entry
                .set_delay_seconds(message.delay)
                .set_message_group_id(message.group.map(Into::into))
                .set_message_deduplication_id(message.deduplication.map(Into::into))
                .build()
                .unwrap()
        };
        let entries = entries.into_iter().map(entry).collect();
        let send = self.client.send_message_batch().queue_url(self.url(queue).await);
        told(send.set_entries(Some(entries)).send().await, |reply| {
            let good = reply.successful().iter().map(|entry| {
                let id = self.ids.of(entry.message_id());
                let attributes = entry.md5_of_message_attributes();
                format!("{} sent {id} md5 {} {attributes:?}", entry.id(), entry.md5_of_message_body())
            });
            sorted(good.chain(reply.failed().iter().map(failed_entry)))
        })
    }

    async fn receive(&mut self, queue: &str, receiving: &Receiving) -> String {
        let receive = self
            .client
            .receive_message()
            .queue_url(self.url(queue).await)
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .set_max_number_of_messages(receiving.max)
            .set_visibility_timeout(receiving.visibility)
            .set_wait_time_seconds(receiving.wait);
        match receive.send().await {
            Err(error) => error_code(&error),
            Ok(reply) => {
                let mut messages = reply.messages.unwrap_or_default();
                // A standard queue promises no order.
                if queue.strip_suffix(".fifo").is_none() {
                    messages.sort_by(|a, b| a.body.cmp(&b.body));
                }
                let shown: Vec<String> = messages.iter().map(|message| self.received(message)).collect();
                format!("received {}", shown.join(", "))
            }
        }
    }

    fn received(&mut self, message: &Message) -> String {
        self.handles.push(message.receipt_handle().unwrap_or_default().to_owned());
        let id = self.ids.of(message.message_id().unwrap_or_default());
        let system = sorted(
            message
                .attributes()
                .into_iter()
                .flatten()
                .map(|(name, value)| format!("{name}={}", system_value(name, value, &mut self.numbers))),
        );
        let attributes = sorted(message.message_attributes().into_iter().flatten().map(|(name, value)| {
            format!("{name}:{}={:?}{:?}", value.data_type(), value.string_value(), value.binary_value())
        }));
        let md5 = message.md5_of_body().unwrap_or_default();
        let body: String = message.body().unwrap_or_default().chars().take(40).collect();
        format!("{id} {body:?} md5 {md5} {:?} [{system}] [{attributes}]", message.md5_of_message_attributes())
    }
}

/// Returns a reply in the form of `show`, or its error's code.
fn told<T, E: ProvideErrorMetadata, R>(
    result: Result<T, SdkError<E, R>>,
    show: impl FnOnce(T) -> String,
) -> String {
    match result {
        Ok(reply) => show(reply),
        Err(error) => error_code(&error),
    }
}

fn done<T>(_: T) -> String {
    "done".into()
}

fn sorted(parts: impl Iterator<Item = String>) -> String {
    let mut parts: Vec<String> = parts.collect();
    parts.sort_unstable();
    parts.join(" ")
}

fn names(urls: &[String]) -> String {
    sorted(urls.iter().map(|url| last_part(url)))
}

fn last_part(url: &str) -> String {
    url.rsplit('/').next().unwrap_or_default().to_owned()
}

fn attribute(data_type: &str, value: &str) -> MessageAttributeValue {
    let builder = MessageAttributeValue::builder().data_type(data_type);
    let builder = if data_type.starts_with("Binary") {
        builder.binary_value(Blob::new(value))
    } else {
        builder.string_value(value)
    };
    builder.build().unwrap()
}

fn trace(header: &str) -> MessageSystemAttributeValue {
    MessageSystemAttributeValue::builder().data_type("String").string_value(header).build().unwrap()
}
