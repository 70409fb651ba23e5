//! Q16: the table of a store.

use serde_json::Value;

use super::queues::kept_on_delete;
use crate::case::Case;
use crate::finding::Report;
use crate::model::Target;
use crate::rule::Rule;
use crate::value::{has_token, items, plain, truth};

/// The output by which workers' stacks get the table's name.
const OUTPUT: &str = "StoreTableName";

pub(super) const RULES: [Rule; 1] = [Rule {
    id: "Q16",
    title: "a store table has the key `id`, removes items by `expiration`, and is kept when its stack is deleted",
    reason: "Workers ask by id. Without a time to live every job that ever ran is kept, and paid. Without the table a redelivered job runs twice, and no dead letter has a reason.",
    fix: "Set KeySchema to id, TimeToLiveSpecification to expiration, DeletionPolicy: RetainExceptOnCreate and UpdateReplacePolicy: Retain (Terraform: prevent_destroy).",
    at_bounds: false,
    check: store_is_kept,
}];

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

/// The name of a key's attribute, which is all that Terraform writes.
fn key_name(key: &Value) -> String {
    if key.is_object() { plain(&key["AttributeName"]) } else { plain(key) }
}

fn is_store(case: &Case<'_>, id: &str) -> bool {
    let outputs = case.stack.outputs.iter().filter(|(name, _)| *name == OUTPUT);
    outputs
        .flat_map(|(_, output)| &output.references)
        .any(|reference| matches!(&reference.to, Target::Resource { id: referred, .. } if referred == id))
}
