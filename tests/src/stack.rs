//! A template of `infra/cloudformation`, deployed unchanged to `LocalStack`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::aws_api::{call, members, query};
use crate::eventually::eventually;
use crate::queues::{REGION, TestQueue, client, localstack};

pub(crate) const CLOUDFORMATION: &str = "2010-05-15";
const SNS: &str = "2010-03-31";

/// A stack. It is removed when dropped. LocalStack also deletes the queues, which AWS retains.
pub struct Stack {
    name: String,
    outputs: BTreeMap<String, String>,
}

/// A resource that no CloudFormation can create, after all queues of a template.
const BROKEN: &str = "
  Broken:
    Type: AWS::SNS::Subscription
    DependsOn: [QUEUES]
    Properties: { Protocol: sqs, TopicArn: 'arn:aws:sns:eu-central-1:000000000000:missing', Endpoint: 'arn:none' }
";

impl Stack {
    /// Deploys a template with a unique stack name and waits until it is complete. Reports the failures if it does not
    /// complete.
    pub async fn deploy(template: &str, parameters: &[(&str, &str)]) -> Self {
        Self::deploy_as(&unique_name(), template, parameters).await
    }

    /// Does the same with this stack name.
    pub async fn deploy_as(name: &str, template: &str, parameters: &[(&str, &str)]) -> Self {
        Self::deploy_text(name, &read_template(template), parameters).await
    }

    /// Does the same with the text of a template.
    pub async fn deploy_text(name: &str, body: &str, parameters: &[(&str, &str)]) -> Self {
        query("cloudformation", CLOUDFORMATION, "CreateStack", &form(name, body, parameters)).await.unwrap();
        let mut stack = Self { name: name.to_owned(), outputs: BTreeMap::new() };
        stack.until_complete().await;
        stack
    }

    /// Deploys a template whose last resource cannot be created, and deletes the failed stack, as an operator has to. Returns
    /// its name. LocalStack does not roll back a failed stack by itself, as AWS does.
    pub async fn fail(template: &str, parameters: &[(&str, &str)]) -> String {
        let name = unique_name();
        let body = read_template(template);
        let resources = body.split("\nResources:").nth(1).unwrap();
        let queues: Vec<&str> = resources
            .lines()
            .filter_map(|line| line.strip_prefix("  ")?.strip_suffix("Queue:"))
            .filter(|id| !id.contains(['#', ' ']) && !id.starts_with("Third"))
            .collect();
        let queues = queues.iter().map(|id| format!("{id}Queue")).collect::<Vec<_>>().join(", ");
        let broken = format!("{}\nOutputs:", BROKEN.replace("QUEUES", &queues));
        let body = body.replacen("\nOutputs:", &broken, 1);
        query("cloudformation", CLOUDFORMATION, "CreateStack", &form(&name, &body, parameters))
            .await
            .unwrap();
        let stack = Self { name: name.clone(), outputs: BTreeMap::new() };
        eventually("the stack has failed", async || {
            let status = stack.describe().await["StackStatus"].as_str().unwrap().to_owned();
            assert_ne!(status, "CREATE_COMPLETE");
            ["CREATE_FAILED", "ROLLBACK_COMPLETE"].contains(&&*status)
        })
        .await;
        delete(&name).await;
        eventually("the stack is gone", async || {
            let form = [("StackName".to_owned(), name.clone())];
            query("cloudformation", CLOUDFORMATION, "DescribeStacks", &form).await.is_err()
        })
        .await;
        // It is already deleted.
        std::mem::forget(stack);
        name
    }

    /// Waits for the end of a deployment, and reads the outputs.
    async fn until_complete(&mut self) {
        let mut described = Value::Null;
        eventually("the stack is complete", async || {
            described = self.describe().await;
            let status = described["StackStatus"].as_str().unwrap().to_owned();
            assert!(
                !status.contains("FAILED") && !status.contains("ROLLBACK"),
                "{} is not deployed: {described}",
                self.name
            );
            status == "CREATE_COMPLETE"
        })
        .await;
        // LocalStack returns nothing for an empty text.
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.outputs = members(&described["Outputs"])
            .iter()
            .map(|output| (text(&output["OutputKey"]), text(&output["OutputValue"])))
            .collect();
    }

    /// Returns the output with this name.
    pub fn output(&self, name: &str) -> &str {
        self.outputs.get(name).unwrap_or_else(|| panic!("no output {name} in {:?}", self.outputs))
    }

    /// Returns a queue of the stack and its DLQ. Its outputs start with `prefix`.
    pub fn queue(&self, prefix: &str) -> TestQueue {
        let output = |name: &str| self.output(&format!("{prefix}{name}")).to_owned();
        TestQueue {
            name: output("QueueName"),
            url: output("QueueUrl"),
            dead_letter_url: output("DeadLetterQueueUrl"),
            client: client(&localstack()),
        }
    }

    async fn describe(&self) -> Value {
        let name = [("StackName".to_owned(), self.name.clone())];
        let answer = query("cloudformation", CLOUDFORMATION, "DescribeStacks", &name).await.unwrap();
        members(&answer["Stacks"]).swap_remove(0)
    }
}

pub(crate) fn unique_name() -> String {
    format!("t{:x}-{:x}", std::process::id(), fastrand::u32(..))
}

pub(crate) fn read_template(template: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/cloudformation").join(template);
    let text = std::fs::read_to_string(path).unwrap();
    // LocalStack 4.14 treats an empty value of a parameter without a default as missing.
    let required = "\n  StoreTableName:\n    Type: String\n";
    text.replace(required, &format!("{required}    Default: \"\"\n"))
}

/// Returns the form that creates or updates a stack. Every template has values for the parameters that tests do not choose.
pub(crate) fn form(name: &str, body: &str, parameters: &[(&str, &str)]) -> Vec<(String, String)> {
    // The topic has no subscribers, but the alarms have to name one.
    let alarm_topic = format!("arn:aws:sns:{REGION}:000000000000:alarms");
    let own = [
        ("ServiceName", name),
        ("AlarmTopicArn", &alarm_topic),
        ("DeadLetterOwner", "the tests"),
        // LocalStack has no DynamoDB here.
        ("Store", "none"),
        ("StoreTableName", ""),
    ];
    let is_free = |key: &str| {
        body.contains(&format!("\n  {key}:\n")) && parameters.iter().all(|(given, _)| *given != key)
    };
    let own = own.into_iter().filter(|(key, _)| is_free(key));
    let mut form = vec![
        ("StackName".to_owned(), name.to_owned()),
        ("TemplateBody".to_owned(), body.to_owned()),
        ("Capabilities.member.1".to_owned(), "CAPABILITY_NAMED_IAM".to_owned()),
    ];
    for (index, (key, value)) in own.chain(parameters.iter().copied()).enumerate() {
        let member = format!("Parameters.member.{}", index + 1);
        form.push((format!("{member}.ParameterKey"), key.to_owned()));
        form.push((format!("{member}.ParameterValue"), value.to_owned()));
    }
    form
}

async fn delete(name: &str) {
    let form = [("StackName".to_owned(), name.to_owned())];
    query("cloudformation", CLOUDFORMATION, "DeleteStack", &form).await.unwrap();
}

impl Drop for Stack {
    #[allow(clippy::print_stderr, reason = "the test runner shows it with the failed test")]
    fn drop(&mut self) {
        let name = self.name.clone();
        // A separate thread and runtime, because the test's runtime is blocked here.
        let removal = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(delete(&name));
        });
        if removal.join().is_err() {
            eprintln!("the stack {} could not be removed", self.name);
        }
    }
}

/// Publishes a message to a topic.
pub async fn publish(topic_arn: &str, message: &str) {
    sns("Publish", &[("TopicArn", topic_arn), ("Message", message)]).await;
}

/// Publishes a message with the attribute `messageType` to a topic.
pub async fn publish_typed(topic_arn: &str, message: &str, message_type: &str) {
    let attribute = "MessageAttributes.entry.1";
    let (name, kind, value) = (
        format!("{attribute}.Name"),
        format!("{attribute}.Value.DataType"),
        format!("{attribute}.Value.StringValue"),
    );
    let form = [
        ("TopicArn", topic_arn),
        ("Message", message),
        (&name, "messageType"),
        (&kind, "String"),
        (&value, message_type),
    ];
    sns("Publish", &form).await;
}

/// Creates a topic whose messages reach `queue` in SNS's own envelope.
pub async fn topic_before(queue: &TestQueue) -> String {
    let topic = sns("CreateTopic", &[("Name", &queue.name)]).await;
    let topic = topic["TopicArn"].as_str().unwrap().to_owned();
    subscribe(&topic, queue).await;
    topic
}

/// Makes the messages of a topic reach `queue` as well.
pub async fn subscribe(topic_arn: &str, queue: &TestQueue) {
    sns("Subscribe", &[("TopicArn", topic_arn), ("Protocol", "sqs"), ("Endpoint", &queue.arn())]).await;
}

async fn sns(action: &str, form: &[(&str, &str)]) -> Value {
    let form: Vec<_> = form.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    query("sns", SNS, action, &form).await.unwrap()
}

/// Creates an `EventBridge` rule whose events reach all of these queues. Returns the source of its events.
pub async fn rule_before(queues: &[&TestQueue]) -> String {
    let source = format!("test.{}", queues[0].name);
    let pattern = json!({ "source": [source] }).to_string();
    call("events", "AWSEvents.PutRule", &json!({ "Name": queues[0].name, "EventPattern": pattern })).await;
    let target = |queue: &&TestQueue| json!({ "Id": queue.name, "Arn": queue.arn() });
    let targets: Vec<Value> = queues.iter().map(target).collect();
    let added = json!({ "Rule": queues[0].name, "Targets": targets });
    call("events", "AWSEvents.PutTargets", &added).await;
    source
}

/// Puts an event on the default bus; `detail` is JSON.
pub async fn put_event(source: &str, detail_type: &str, detail: &str) {
    let event = json!({ "Source": source, "DetailType": detail_type, "Detail": detail });
    let answer = call("events", "AWSEvents.PutEvents", &json!({ "Entries": [event] })).await;
    assert_eq!(answer["FailedEntryCount"], 0, "{answer}");
}
