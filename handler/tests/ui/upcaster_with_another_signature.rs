use drumline::Upcaster;
use serde_json::Value;

fn rename(old: &Value) -> Value {
    serde_json::json!({ "user_id": old["user"] })
}

const STEP: Upcaster = Upcaster { from: 1, up: rename };

fn main() {}
