//! Q16 and E17: the table of a store, and a store on a disk.

use serde_json::Value;

use super::queues::kept_on_delete;
use crate::case::Case;
use crate::finding::Report;
use crate::model::{Resource, Target};
use crate::rule::Rule;
use crate::value::{has_token, items, plain, truth};
use crate::views::functions::consuming_functions;
use crate::views::tasks::tasks;

/// The output from which workers' stacks take the table's name.
const OUTPUT: &str = "StoreTableName";

/// The variable with the store's address.
const STORE_URL: &str = "DRUMLINE_STORE_URL";

/// An address of a store on a disk.
const ON_DISK: &str = "file:/var/lib/drumline/jobs.db";

pub(super) const RULES: [Rule; 2] = [
    Rule {
        id: "Q16",
        title: "a store table has the key `id`, removes items by `expiration`, and is kept when its stack is deleted",
        reason: "Workers ask by id. Without a time to live the records of all jobs are kept at a cost. Without the table a redelivered job runs twice, and no dead letter has a reason.",
        fix: "Set KeySchema to id, TimeToLiveSpecification to expiration, DeletionPolicy: RetainExceptOnCreate and UpdateReplacePolicy: Retain (Terraform: prevent_destroy).",
        at_bounds: false,
        check: store_is_kept,
    },
    Rule {
        id: "E17",
        title: "a worker whose container has no volume keeps no store in a file, and no parameter offers it one",
        reason: "Its root is read-only, and its other files are lost with the task or the environment: the worker does not start, or forgets completed jobs.",
        fix: "Remove file: from the parameter's AllowedPattern, and use a store that all workers share.",
        at_bounds: false,
        check: store_is_in_no_file,
    },
];

fn store_is_kept(case: &Case<'_>, report: &mut Report<'_>) {
    for (id, table) in case.stack.of_kind("AWS::DynamoDB::Table").filter(|(id, _)| is_store(case, id)) {
        let keys: Vec<String> = items(table.get("/KeySchema")).iter().map(key_name).collect();
        if keys != ["id"] && !keys.iter().any(|key| has_token(key)) {
            report.at(id, table, "/KeySchema", format!("its key is {}", keys.join(", ")));
        }
        let expires = "/TimeToLiveSpecification";
        let attribute = table.text(&format!("{expires}/AttributeName"));
        let is_off = table.get(&format!("{expires}/Enabled")).and_then(truth) == Some(false);
        if is_off || attribute.is_none_or(|name| name != "expiration" && !has_token(name)) {
            report.at(id, table, expires, "items are not removed by expiration");
        }
        kept_on_delete(case.stack, id, table, report);
    }
}

/// Returns the name of a key's attribute, which is all that Terraform contains.
fn key_name(key: &Value) -> String {
    if key.is_object() { plain(&key["AttributeName"]) } else { plain(key) }
}

fn is_store(case: &Case<'_>, id: &str) -> bool {
    let outputs = case.stack.outputs.iter().filter(|(name, _)| *name == OUTPUT);
    outputs
        .flat_map(|(_, output)| &output.references)
        .any(|reference| matches!(&reference.to, Target::Resource { id: referred, .. } if referred == id))
}

fn store_is_in_no_file(case: &Case<'_>, report: &mut Report<'_>) {
    for task in tasks(case.stack).iter().filter(|task| task.ours) {
        if let Some(url) = task.variable(STORE_URL)
            && task.container().get("MountPoints").is_none()
        {
            refuses_file(case, report, (task.id, task.resource, &task.variable_pointer(STORE_URL)), &url);
        }
    }
    for function in consuming_functions(case.stack) {
        let at = format!("/Environment/Variables/{STORE_URL}");
        if let Some(url) = function.resource.get(&at)
            && function.resource.get("/FileSystemConfigs").is_none()
        {
            refuses_file(case, report, (function.id, function.resource, &at), &plain(url));
        }
    }
}

fn refuses_file(
    case: &Case<'_>,
    report: &mut Report<'_>,
    (id, resource, at): (&str, &Resource, &str),
    url: &str,
) {
    let offered = resource.references_at(at).find_map(|to| match to {
        Target::Parameter(name) => {
            case.stack.parameters.get(name).is_some_and(|own| own.takes(ON_DISK)).then_some(name)
        }
        _ => None,
    });
    if let Some(name) = offered {
        report.certainly_at(id, resource, at, format!("{name}, of which it is made, allows {ON_DISK}"));
    } else if url.starts_with("file:") {
        report.at(id, resource, at, format!("it is {url}, and there is no volume"));
    }
}
