//! Describes a live queue as the stack that could have created it, so that the rules for templates can check it.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_sqs::types::QueueAttributeName as Name;
use drumline_infra_rules::model::{Resource, Stack, queue_arn};
use drumline_infra_rules::{Options, Source, Template, check};
use drumline_runtime::SqsError;
use drumline_runtime::aws::{Clients, explain, url_by_arn};
use serde_json::{Map, Value, json};

use super::diagnosis::Diagnosis;
use super::lambda_api::{LambdaApi, Mapping};

/// The rules whose facts SQS and Lambda provide. The other rules check how a template is written, or properties that are not
/// requested.
const RULES: [&str; 18] = [
    "Q01", "Q03", "Q04", "Q05", "Q07", "Q09", "Q10", "Q11", "Q14", "P01", "P02", "L01", "L02", "L03", "L04",
    "L06", "L07", "L14",
];

/// Numeric attributes, with the names that templates give them.
const NUMBERS: [(Name, &str); 4] = [
    (Name::VisibilityTimeout, "VisibilityTimeout"),
    (Name::MessageRetentionPeriod, "MessageRetentionPeriod"),
    (Name::ReceiveMessageWaitTimeSeconds, "ReceiveMessageWaitTimeSeconds"),
    (Name::DelaySeconds, "DelaySeconds"),
];

const SOURCE: &str = "Queue";
const DEAD_LETTERS: &str = "DeadLetterQueue";

type Attributes = HashMap<Name, String>;

/// The problems that were found, and the parts that could not be checked.
#[derive(Debug, Default)]
pub(crate) struct Examined {
    pub(crate) diagnoses: Vec<Diagnosis>,
    /// The parts that could not be checked, as sentences with the reason.
    pub(crate) unseen: Vec<String>,
}

/// Checks a queue, its DLQ, and its event source mappings.
pub(crate) async fn examine(clients: &Clients, label: &str, queue_url: &str) -> Result<Examined, SqsError> {
    let mut unseen = Vec::new();
    let attributes = attributes(clients, queue_url).await?;
    let arn = attributes.get(&Name::QueueArn).cloned().unwrap_or_default();
    let mut stack = LiveStack::new(&arn);
    stack.queue(SOURCE, &attributes);
    if let Some(target) = dead_letter_arn(&attributes) {
        match dead_letters(clients, &target).await {
            Ok(attributes) => stack.queue(DEAD_LETTERS, &attributes),
            Err(error) => unseen.push(format!("the DLQ {target}: {}", error.text)),
        }
    }
    match mappings(clients, &arn).await {
        Ok(mappings) => {
            for (index, mapping) in mappings.into_iter().enumerate() {
                unseen.extend(stack.mapping(index, mapping).err());
            }
        }
        Err(problem) => unseen.push(format!("event source mappings: {problem}")),
    }
    let template = Template::from_source(stack);
    let findings = check(&[template], &Options::default());
    let diagnoses = findings
        .into_iter()
        .filter(|finding| RULES.contains(&finding.rule))
        .map(|finding| Diagnosis::in_queue(label, finding))
        .collect();
    Ok(Examined { diagnoses, unseen })
}

async fn attributes(clients: &Clients, queue_url: &str) -> Result<Attributes, SqsError> {
    let request = clients.calls.get_queue_attributes().queue_url(queue_url).attribute_names(Name::All);
    let reply = request.send().await.map_err(|error| explain("GetQueueAttributes", &error))?;
    Ok(reply.attributes.unwrap_or_default())
}

async fn dead_letters(clients: &Clients, arn: &str) -> Result<Attributes, SqsError> {
    attributes(clients, &url_by_arn(&clients.calls, arn).await?).await
}

async fn mappings(clients: &Clients, queue_arn: &str) -> Result<Vec<Mapping>, String> {
    LambdaApi::new(&clients.config)?.mappings_of(queue_arn).await
}

fn dead_letter_arn(attributes: &Attributes) -> Option<String> {
    let policy: Value = serde_json::from_str(attributes.get(&Name::RedrivePolicy)?).ok()?;
    Some(policy["deadLetterTargetArn"].as_str()?.to_owned())
}

/// The known part of the stack.
struct LiveStack {
    /// The ARN prefix of the queue's account and region.
    here: String,
    stack: Stack,
}

impl Source for LiveStack {
    fn stack(&self, _values: &BTreeMap<String, Value>) -> Stack {
        self.stack.clone()
    }
}

impl LiveStack {
    fn new(arn: &str) -> Self {
        let here = arn.rfind(':').map_or(String::new(), |end| arn[..=end].to_owned());
        Self { here, stack: Stack::default() }
    }

    fn add(&mut self, id: &str, kind: &str, properties: Map<String, Value>) {
        let properties = self.localized(Value::Object(properties));
        let resource = Resource { kind: kind.to_owned(), properties, ..Resource::default() };
        self.stack.resources.insert(id.to_owned(), resource);
    }

    fn queue(&mut self, id: &str, attributes: &Attributes) {
        let text = |name: Name| attributes.get(&name).filter(|text| !text.is_empty());
        let parsed = |name: Name| text(name).and_then(|text| serde_json::from_str::<Value>(text).ok());
        let mut properties = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                properties.insert(name.to_owned(), value);
            }
        };
        set("QueueName", text(Name::QueueArn).map(|arn| json!(arn.rsplit(':').next())));
        for (name, property) in NUMBERS {
            set(property, parsed(name).filter(|value| *value != 0 || property != "DelaySeconds"));
        }
        set("FifoQueue", text(Name::FifoQueue).map(|text| json!(text == "true")));
        set("SqsManagedSseEnabled", text(Name::SqsManagedSseEnabled).map(|text| json!(text == "true")));
        set("KmsMasterKeyId", text(Name::KmsMasterKeyId).map(|text| json!(text)));
        set("RedriveAllowPolicy", parsed(Name::RedriveAllowPolicy));
        set("RedrivePolicy", parsed(Name::RedrivePolicy).map(with_number));
        self.add(id, "AWS::SQS::Queue", properties);
        if let Some(document) = parsed(Name::Policy) {
            let policy = json!({ "Queues": [format!("${{{id}}}")], "PolicyDocument": document });
            if let Value::Object(policy) = policy {
                self.add(&format!("{id}Policy"), "AWS::SQS::QueuePolicy", policy);
            }
        }
    }

    /// Adds a mapping and its function. Returns an error if the function is not known.
    fn mapping(&mut self, index: usize, Mapping { mapping, function }: Mapping) -> Result<(), String> {
        let number = index + 1;
        self.add(&format!("Mapping{number}"), "AWS::Lambda::EventSourceMapping", mapping);
        self.add(&format!("Function{number}"), "AWS::Lambda::Function", function?);
        Ok(())
    }

    /// Replaces the ARNs of queues in this account and region by names, as a template does.
    fn localized(&self, value: Value) -> Value {
        match value {
            Value::String(text) => match text.strip_prefix(&self.here) {
                Some(name) if !self.here.is_empty() => Value::String(queue_arn(name)),
                _ => Value::String(text),
            },
            Value::Array(values) => values.into_iter().map(|value| self.localized(value)).collect(),
            Value::Object(entries) => {
                Value::Object(entries.into_iter().map(|(key, value)| (key, self.localized(value))).collect())
            }
            other => other,
        }
    }
}

/// Converts the number to a number: SQS stores it as it was given, often as a text.
fn with_number(mut policy: Value) -> Value {
    if let Some(count) = policy["maxReceiveCount"].as_str().and_then(|text| text.parse::<u32>().ok()) {
        policy["maxReceiveCount"] = count.into();
    }
    policy
}
