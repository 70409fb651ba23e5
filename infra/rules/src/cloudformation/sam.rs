//! Converts SAM's functions to CloudFormation's, as far as rules read them: the function, its role, and a mapping for each
//! queue among its events. See
//! [the
//! specification](https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-function.html).

use serde_json::{Map, Value, json};

use super::yaml::{Document, escape};

const FUNCTION: &str = "AWS::Serverless::Function";

/// The metadata of a resource that SAM creates and the template cannot refer to.
pub(crate) const MADE: &str = "MadeBySam";

/// Properties of an SQS event with the same name in the mapping.
const MAPPED: [&str; 9] = [
    "BatchSize",
    "Enabled",
    "FilterCriteria",
    "FunctionResponseTypes",
    "KmsKeyArn",
    "MaximumBatchingWindowInSeconds",
    "MetricsConfig",
    "ProvisionedPollerConfig",
    "ScalingConfig",
];

/// Rewrites a SAM template.
pub(super) fn expand(document: &mut Document) {
    let globals = document.root["Globals"]["Function"].as_object().cloned().unwrap_or_default();
    let Some(resources) = document.root["Resources"].as_object_mut() else { return };
    let mut more = Map::new();
    let mut lines = Vec::new();
    for (id, resource) in resources.iter_mut().filter(|(_, resource)| resource["Type"] == FUNCTION) {
        resource["Type"] = "AWS::Lambda::Function".into();
        if !resource["Properties"].is_object() {
            resource["Properties"] = json!({});
        }
        let Some(own) = resource["Properties"].as_object_mut() else { continue };
        inherit(own, &globals);
        if let Some(mode) = own.remove("Tracing") {
            own.insert("TracingConfig".to_owned(), json!({ "Mode": mode }));
        }
        if let Some(dlq) = own.remove("DeadLetterQueue") {
            own.insert("DeadLetterConfig".to_owned(), dlq);
        }
        if !own.contains_key("Role") {
            let role = format!("{id}Role");
            own.insert("Role".to_owned(), json!({ "Fn::GetAtt": [role, "Arn"] }));
            more.insert(role, made_role(own));
        }
        let events = own.get("Events").cloned();
        for (name, event) in events.as_ref().and_then(Value::as_object).into_iter().flatten() {
            if event["Type"] == "SQS" {
                let at = format!("/Resources/{}/Properties/Events/{}", escape(id), escape(name));
                lines.push((format!("/Resources/{}", escape(&format!("{id}{name}"))), at));
                more.insert(format!("{id}{name}"), mapping(id, &event["Properties"]));
            }
        }
    }
    resources.extend(more);
    for (of, at) in lines {
        if let Some(line) = document.lines.get(&at).copied() {
            document.lines.insert(of, line);
        }
    }
}

/// Adds the settings for all functions: maps are merged, lists are joined, and all other values of the function take
/// precedence.
fn inherit(properties: &mut Map<String, Value>, globals: &Map<String, Value>) {
    for (name, global) in globals {
        match (properties.get_mut(name), global) {
            (Some(Value::Object(own)), Value::Object(global)) => inherit(own, global),
            (Some(Value::Array(own)), Value::Array(global)) => own.extend(global.iter().cloned()),
            (Some(_), _) => {}
            (None, global) => {
                properties.insert(name.clone(), global.clone());
            }
        }
    }
}

/// Returns the role that SAM creates: statements in the text, and managed policies by name. The content of its policy templates
/// is not known here.
fn made_role(properties: &Map<String, Value>) -> Value {
    let policies = properties.get("Policies").cloned().unwrap_or_default();
    let policies = if let Value::Array(policies) = policies { policies } else { vec![policies] };
    let (mut inline, mut managed) = (Vec::new(), Vec::new());
    for policy in policies.into_iter().filter(|policy| !policy.is_null()) {
        if policy.get("Statement").is_some() {
            inline.push(json!({ "PolicyName": "", "PolicyDocument": policy }));
        } else if policy.is_string() {
            managed.push(policy);
        } else {
            managed.push("${Fn::PolicyTemplate}".into());
        }
    }
    // SAM adds this policy itself to a function with a queue.
    managed.push("AWSLambdaSQSQueueExecutionRole".into());
    json!({
        "Type": "AWS::IAM::Role",
        "Metadata": { MADE: true },
        "Properties": { "Policies": inline, "ManagedPolicyArns": managed },
    })
}

fn mapping(function: &str, event: &Value) -> Value {
    let mut properties = Map::new();
    properties.insert("FunctionName".to_owned(), json!({ "Ref": function }));
    properties.insert("EventSourceArn".to_owned(), event["Queue"].clone());
    let of_event = MAPPED.iter().filter_map(|name| Some(((*name).to_owned(), event.get(name)?.clone())));
    properties.extend(of_event);
    json!({ "Type": "AWS::Lambda::EventSourceMapping", "Properties": properties })
}

#[cfg(test)]
#[path = "sam_tests.rs"]
mod tests;
