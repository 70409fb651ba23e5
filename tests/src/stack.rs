//! A template of `infra/cloudformation`, deployed to `LocalStack` as it is.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::aws_api::{call, members, query};
use crate::eventually::eventually;
use crate::queues::{REGION, TestQueue, client, localstack};

const CLOUDFORMATION: &str = "2010-05-15";
const SNS: &str = "2010-03-31";

/// A stack; it is removed when dropped. The templates retain their queues, as they promise.
pub struct Stack {
    name: String,
    outputs: BTreeMap<String, String>,
}

impl Stack {
    /// Deploys a template under a name of its own and waits until it is complete. Tells what failed where it does not.
    pub async fn deploy(template: &str, parameters: &[(&str, &str)]) -> Self {
        let name = format!("t{:x}-{:x}", std::process::id(), fastrand::u32(..));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/cloudformation").join(template);
        let body = std::fs::read_to_string(&path).unwrap();
        let mut form = vec![
            ("StackName".to_owned(), name.clone()),
            ("TemplateBody".to_owned(), body),
            ("Capabilities.member.1".to_owned(), "CAPABILITY_NAMED_IAM".to_owned()),
        ];
        // Nobody listens to that topic, but the alarms are to name one.
        let alarm_topic = format!("arn:aws:sns:{REGION}:000000000000:alarms");
        let own = [("ServiceName", &*name), ("AlarmTopicArn", &*alarm_topic)];
        for (index, (key, value)) in own.iter().chain(parameters).enumerate() {
            let member = format!("Parameters.member.{}", index + 1);
            form.push((format!("{member}.ParameterKey"), (*key).to_owned()));
            form.push((format!("{member}.ParameterValue"), (*value).to_owned()));
        }
        query("cloudformation", CLOUDFORMATION, "CreateStack", &form).await.unwrap();
        let mut stack = Self { name, outputs: BTreeMap::new() };
        let mut described = Value::Null;
        eventually("the stack is complete", async || {
            described = stack.describe().await;
            let status = described["StackStatus"].as_str().unwrap().to_owned();
            assert!(
                !status.contains("FAILED") && !status.contains("ROLLBACK"),
                "{template} is not deployed: {described}"
            );
            status == "CREATE_COMPLETE"
        })
        .await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        stack.outputs = members(&described["Outputs"])
            .iter()
            .map(|output| (text(&output["OutputKey"]), text(&output["OutputValue"])))
            .collect();
        stack
    }

    /// What the template tells under this name.
    pub fn output(&self, name: &str) -> &str {
        self.outputs.get(name).unwrap_or_else(|| panic!("no output {name} in {:?}", self.outputs))
    }

    /// A queue of the stack and its DLQ. `prefix` is what its outputs begin with.
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

impl Drop for Stack {
    #[allow(clippy::print_stderr, reason = "the test runner shows it with the failed test")]
    fn drop(&mut self) {
        let name = self.name.clone();
        // A thread and a runtime of its own, since the test's stand still meanwhile.
        let removal = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let name = [("StackName".to_owned(), name)];
            runtime.block_on(query("cloudformation", CLOUDFORMATION, "DeleteStack", &name)).unwrap();
        });
        if removal.join().is_err() {
            eprintln!("the stack {} could not be removed", self.name);
        }
    }
}

/// Publishes a message to a topic.
pub async fn publish(topic_arn: &str, message: &str) {
    let form = [("TopicArn", topic_arn), ("Message", message)];
    query("sns", SNS, "Publish", &form.map(|(key, value)| (key.to_owned(), value.to_owned()))).await.unwrap();
}

/// A topic whose messages come to `queue` in SNS's own envelope.
pub async fn topic_before(queue: &TestQueue) -> String {
    let topic = sns("CreateTopic", &[("Name", &queue.name)]).await;
    let topic = topic["TopicArn"].as_str().unwrap().to_owned();
    subscribe(&topic, queue).await;
    topic
}

/// Has the messages of a topic come to `queue` as well.
pub async fn subscribe(topic_arn: &str, queue: &TestQueue) {
    sns("Subscribe", &[("TopicArn", topic_arn), ("Protocol", "sqs"), ("Endpoint", &queue.arn())]).await;
}

async fn sns(action: &str, form: &[(&str, &str)]) -> Value {
    let form: Vec<_> = form.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    query("sns", SNS, action, &form).await.unwrap()
}

/// A rule of `EventBridge` whose events come to all of these queues. Returns the source of its events.
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
