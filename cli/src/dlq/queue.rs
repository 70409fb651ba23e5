//! Finds the DLQ, and checks that it can be read without side effects.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName as Name;
use drumline::message::{Intake, Message};
use drumline::run::{NoopObserver, RAW_TYPE};
use drumline_consumer::ExitError;
use drumline_dlq::journal::Header;
use drumline_runtime::aws::{AwsQueue, Clients, Redrive, explain, queue_name, queue_url, url_by_arn};
use drumline_runtime::payload::{PayloadSettings, Payloads};
use drumline_runtime::{Settings, SqsError, intake};
use url::Url;

use super::common::QueueArgs;
use super::dead_letter::DeadLetter;
use super::unopened::Unopened;
use crate::connection::connect_to;

/// The wait time of a receive. Any wait makes SQS ask all of its servers instead of a subset; a longer one only delays the end.
pub(super) const WAIT: Duration = Duration::from_secs(1);

/// A dead-letter queue.
pub(super) struct DeadLetterQueue {
    pub(super) name: String,
    pub(super) url: String,
    /// `None` for an emulator that does not report it.
    pub(super) arn: Option<String>,
    pub(super) clients: Clients,
    /// The approximate number of messages that can be received.
    pub(super) visible: usize,
    /// The approximate number of messages that other receivers hold.
    pub(super) hidden: usize,
    /// The rules by which the queue's worker decodes its messages.
    pub(super) intake: Intake,
    /// Opens payloads that are in S3 or compressed.
    payloads: Payloads,
    unopened: Unopened,
}

impl DeadLetterQueue {
    /// Returns the DLQ that the command line names, otherwise the DLQ of the only queue in the settings.
    pub(super) async fn find(args: &QueueArgs, settings: &Settings) -> Result<Self, ExitError> {
        let given = args
            .dlq_url
            .as_ref()
            .map(|text| queue_url(text).map_err(|error| ExitError::usage(format!("--dlq-url: {error}"))));
        let given = given.transpose()?;
        let named = given.as_ref().map_or_else(|| only_queue(settings), Ok)?;
        let (url, clients) = if given.is_some() {
            let (clients, url) = connect_to(named, WAIT).await?;
            (url.to_string(), clients)
        } else {
            for_queue(named).await?
        };
        let intake = intake_of(settings, named);
        Self::allowed(Self::examine(url, clients, intake, &settings.payloads).await?, args.force)
    }

    fn allowed((queue, redrive): (Self, Option<Redrive>), force: bool) -> Result<Self, ExitError> {
        match redrive {
            Some(redrive) if !force => Err(refuse_chain(&queue.name, &redrive)),
            _ => Ok(queue),
        }
    }

    /// Returns the DLQ of a journal that is resumed, with the settings of the queue that was given at its begin.
    pub(super) async fn resumed(
        args: &QueueArgs,
        settings: &Settings,
        header: &Header,
    ) -> Result<Self, ExitError> {
        let read = |text: &str| {
            queue_url(text).map_err(|error| ExitError::usage(format!("the queue of the journal: {error}")))
        };
        let url = read(&header.dlq_url)?;
        let named = header.queue.as_deref().map_or_else(|| Ok(url.clone()), read)?;
        let (clients, _) = connect_to(&url, WAIT).await?;
        let intake = intake_of(settings, &named);
        Self::allowed(Self::examine(url.to_string(), clients, intake, &settings.payloads).await?, args.force)
    }

    /// Returns the approximate number of messages that receivers hold now.
    pub(super) async fn hidden_by_now(&self) -> Result<usize, ExitError> {
        let (url, clients) = (self.url.clone(), self.clients.clone());
        let payloads = PayloadSettings::default();
        Ok(Self::examine(url, clients, self.intake.clone(), &payloads).await?.0.hidden)
    }

    async fn examine(
        url: String,
        clients: Clients,
        intake: Intake,
        payloads: &PayloadSettings,
    ) -> Result<(Self, Option<Redrive>), ExitError> {
        let name = queue_name(&url).to_owned();
        let names = [
            Name::QueueArn,
            Name::ApproximateNumberOfMessages,
            Name::ApproximateNumberOfMessagesNotVisible,
            Name::RedrivePolicy,
            Name::QueueArn,
        ];
        let request =
            clients.calls.get_queue_attributes().queue_url(&url).set_attribute_names(Some(names.to_vec()));
        let reply = request.send().await.map_err(|error| explain("GetQueueAttributes", &error));
        let attributes = match reply {
            Ok(reply) => reply.attributes.unwrap_or_default(),
            Err(error) => return Err(unavailable(&name, &clients.in_context(error).await)),
        };
        let number = |name: &Name| attributes.get(name).and_then(|text| text.parse().ok()).unwrap_or(0);
        let visible = number(&Name::ApproximateNumberOfMessages);
        let hidden = number(&Name::ApproximateNumberOfMessagesNotVisible);
        let redrive =
            attributes.get(&Name::RedrivePolicy).and_then(|policy| drumline::message::from_json(policy).ok());
        let arn = attributes.get(&Name::QueueArn).cloned();
        let payloads = Payloads::new(payloads.clone(), clients.config.clone());
        let unopened = Unopened::default();
        Ok((Self { name, url, arn, clients, visible, hidden, intake, payloads, unopened }, redrive))
    }

    /// Returns the letter of a message. A payload in S3 or a compressed one is opened if possible.
    pub(super) async fn letter(&self, message: Message) -> DeadLetter {
        match Box::pin(self.payloads.opened(&message)).await {
            Ok(None) => DeadLetter::new(message, &self.intake),
            Ok(Some(opened)) => DeadLetter::with_payload(message, Ok(opened), &self.intake),
            Err(why) => {
                let why = why.to_string();
                self.unopened.add(&why);
                DeadLetter::with_payload(message, Err(why), &self.intake)
            }
        }
    }

    /// Reports letters whose payload could not be opened, if there are any.
    pub(super) fn eprint_unopened(&self) {
        self.unopened.eprint();
    }
}

/// Returns the rules by which the worker of a queue decodes its messages. They need no scope, because a job is looked up by its
/// id.
fn intake_of(settings: &Settings, queue: &Url) -> Intake {
    let mut intake = intake(&settings.for_queue(queue), Arc::from(""), settings.legacy_records);
    if settings.forward_to.is_some() {
        intake.default_type.get_or_insert_with(|| Arc::from(RAW_TYPE));
    }
    intake
}

/// Returns the error for a DLQ with its own redrive policy: receiving its messages would eventually move them.
fn refuse_chain(name: &str, redrive: &Redrive) -> ExitError {
    ExitError::usage(format!(
        "{name} has its own redrive policy: a message that is received more than {} times moves to {}, and reading the \
         DLQ receives its messages. Use --force to read it anyway",
        redrive.max_receive_count, redrive.dead_letter_target_arn
    ))
}

fn only_queue(settings: &Settings) -> Result<&Url, ExitError> {
    match &settings.queues[..] {
        [queue] => Ok(&queue.url),
        [] => Err(ExitError::usage(
            "no queue is given: name the queue by --queue-url or DRUMLINE_QUEUE_URL, or its DLQ by --dlq-url",
        )),
        many => {
            let names: Vec<&str> = many.iter().map(|queue| queue_name(queue.url.as_str())).collect();
            Err(ExitError::usage(format!(
                "the settings name several queues ({}): say by --queue-url whose DLQ is meant",
                names.join(", ")
            )))
        }
    }
}

async fn for_queue(url: &Url) -> Result<(String, Clients), ExitError> {
    let (clients, url) = connect_to(url, WAIT).await?;
    let name = queue_name(url.as_str());
    let queue = AwsQueue::new(clients.clone(), url.to_string(), Arc::new(NoopObserver));
    let facts = queue.describe().await.map_err(|error| unavailable(name, &error))?;
    let Some(redrive) = facts.redrive else {
        return Err(ExitError::usage(format!(
            "{name} has no redrive policy, so it has no DLQ; where it is the DLQ itself, name it by --dlq-url"
        )));
    };
    let url = url_by_arn(&clients.calls, &redrive.dead_letter_target_arn).await;
    Ok((url.map_err(|error| unavailable(name, &error))?, clients))
}

pub(super) fn unavailable(name: &str, error: &SqsError) -> ExitError {
    ExitError::sqs(error.kind, format!("{name} cannot be looked into: {}", error.text))
}
