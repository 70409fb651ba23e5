//! The contract as an [AsyncAPI 3.0](https://www.asyncapi.com/docs/reference/specification/v3.0.0) document: queues as channels, and a
//! message for each version of a job type.

mod names;
mod schemas;

use serde_json::{Map, Value, json};

use crate::document::{Contract, TypeContract, VersionContract};
use names::{key, unique};
use schemas::add_schema;

/// The version of AsyncAPI's [description of SQS queues](https://github.com/asyncapi/bindings/tree/master/sqs).
const SQS_BINDING: &str = "0.2.0";

/// A queue with jobs of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name, which ends in `.fifo` if it is a FIFO queue.
    pub name: String,
    /// The server that has it, if that is known.
    pub server: Option<Server>,
    /// The job types that are sent to it. `None` means that all types may be sent to it.
    pub types: Option<Vec<String>>,
}

/// An endpoint of SQS with the queues of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The host, with the port if there is one.
    pub host: String,
    /// The path before the name of a queue, such as `/123456789012`.
    pub path: String,
}

/// Returns the AsyncAPI document of a service of this title and version.
///
/// The payload of a message is the native envelope around the job's payload. Schemas are converted to AsyncAPI's own format,
/// which is JSON Schema draft 7. Without a queue, there is one channel without a known address.
///
/// ```
/// use drumline_contract::asyncapi::{Queue, Server, document};
/// use drumline_contract::Contract;
/// use serde_json::json;
///
/// let contract: Contract = serde_json::from_value(json!({ "drumline": "contract/1", "types": [
///     { "type": "email.send", "version": 1, "versions": [{ "version": 1, "schema": { "type": "object" } }] }
/// ] }))?;
/// let server = Server { host: "sqs.eu-west-1.amazonaws.com".to_owned(), path: "/123456789012".to_owned() };
/// let queue = Queue { name: "mails".to_owned(), server: Some(server), types: None };
/// let document = document(&contract, "mailer", "1.0.0", &[queue]);
/// assert_eq!(document["channels"]["mails"]["address"], "mails");
/// assert_eq!(document["components"]["messages"]["email.send.v1"]["name"], "email.send");
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn document(contract: &Contract, title: &str, version: &str, queues: &[Queue]) -> Value {
    let (mut messages, mut schemas) = (Map::new(), Map::new());
    for of in contract.types() {
        for version in &of.versions {
            messages.insert(message_key(of, version), message(of, version));
            add_schema(&mut schemas, &message_key(of, version), version.schema.as_ref());
        }
    }
    let servers = servers(queues);
    let (mut channels, mut operations) = (Map::new(), Map::new());
    if queues.is_empty() {
        add_channel("jobs", json!({ "address": null }), contract.types(), &mut channels, &mut operations);
    }
    for queue in queues {
        let types: Vec<TypeContract> =
            contract.types().iter().filter(|of| receives(queue, of)).cloned().collect();
        let mut channel = json!({
            "address": queue.name,
            "bindings": { "sqs": {
                "queue": { "name": queue.name, "fifoQueue": is_fifo(&queue.name) },
                "bindingVersion": SQS_BINDING,
            } },
        });
        if let Some(at) = servers.iter().position(|server| Some(*server) == queue.server.as_ref()) {
            channel["servers"] = json!([{ "$ref": format!("#/servers/{}", server_key(at)) }]);
        }
        let key = unique(&key(&queue.name), &channels);
        add_channel(&key, channel, &types, &mut channels, &mut operations);
    }
    let server = |(at, Server { host, path }): (usize, &&Server)| {
        (server_key(at), json!({ "host": host, "pathname": path, "protocol": "sqs" }))
    };
    let servers: Map<String, Value> = servers.iter().enumerate().map(server).collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": title,
            "version": version,
            "description": "The jobs that the workers of this service receive from SQS.",
        },
        "defaultContentType": "application/json",
        "servers": servers,
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages, "schemas": schemas },
    })
}

fn is_fifo(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, suffix)| suffix == "fifo")
}

fn receives(queue: &Queue, of: &TypeContract) -> bool {
    queue.types.as_ref().is_none_or(|types| types.contains(&of.name))
}

/// Returns the servers of the queues without duplicates.
fn servers(queues: &[Queue]) -> Vec<&Server> {
    let mut servers = Vec::new();
    for server in queues.iter().filter_map(|queue| queue.server.as_ref()) {
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    servers
}

fn server_key(at: usize) -> String {
    if at == 0 { "sqs".to_owned() } else { format!("sqs-{}", at + 1) }
}

fn message_key(of: &TypeContract, version: &VersionContract) -> String {
    format!("{}.v{}", key(&of.name), version.version)
}

/// Adds a channel with the messages of these types, and the operation that receives them.
fn add_channel(
    name: &str,
    mut channel: Value,
    types: &[TypeContract],
    channels: &mut Map<String, Value>,
    operations: &mut Map<String, Value>,
) {
    let keys = types.iter().flat_map(|of| of.versions.iter().map(move |version| message_key(of, version)));
    let keys: Vec<String> = keys.collect();
    let of_components =
        |key: &String| (key.clone(), json!({ "$ref": format!("#/components/messages/{key}") }));
    channel["messages"] = keys.iter().map(of_components).collect();
    let of_channel = |key: &String| json!({ "$ref": format!("#/channels/{name}/messages/{key}") });
    let operation = json!({
        "action": "receive",
        "channel": { "$ref": format!("#/channels/{name}") },
        "messages": keys.iter().map(of_channel).collect::<Vec<_>>(),
    });
    channels.insert(name.to_owned(), channel);
    operations.insert(format!("receive-{name}"), operation);
}

fn message(of: &TypeContract, version: &VersionContract) -> Value {
    let (name, number) = (&of.name, version.version);
    let summary = if number == of.version {
        "The version that producers send."
    } else {
        "An older version, which workers still read."
    };
    json!({
        "name": name,
        "title": format!("{name} version {number}"),
        "summary": summary,
        "contentType": "application/json",
        "correlationId": { "location": "$message.payload#/correlationId" },
        "headers": {
            "type": "object",
            "description": "The message attributes.",
            "properties": { "traceparent": { "type": "string", "description": "The trace, as W3C Trace Context has it." } },
        },
        "payload": envelope(name, number, &message_key(of, version)),
    })
}

/// Returns the schema of the native envelope. A message without `schemaVersion` has version 1.
fn envelope(name: &str, version: u32, schema: &str) -> Value {
    let optional = |description: &str| json!({ "type": ["string", "null"], "description": description });
    let mut required = vec!["type", "payload"];
    if version != 1 {
        required.push("schemaVersion");
    }
    json!({
        "type": "object",
        "required": required,
        "properties": {
            "jobId": optional("The id of the job. Default: the id of the message."),
            "type": { "type": "string", "const": name },
            "schemaVersion": { "type": "integer", "const": version },
            "idempotencyKey": optional("The key under which the effect happens once. Default: the id of the job."),
            "correlationId": optional("The id of what the job belongs to."),
            "createdAt": { "type": ["string", "null"], "format": "date-time" },
            "payload": { "$ref": format!("#/components/schemas/{schema}") },
        },
    })
}

#[cfg(test)]
#[path = "asyncapi/asyncapi_tests.rs"]
mod tests;
