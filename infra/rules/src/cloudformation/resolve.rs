//! Evaluates intrinsic functions as far as the parameters' values allow. See
//! [the reference](https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html).

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::sections::section;
use crate::model::{Parameter, queue_arn, table_arn};
use crate::value::{int, is_known, plain};

/// The maximum depth of resource names that are built from other names. A cycle ends here.
const MAX_NESTED: u32 = 8;

/// The maximum number of look-ups in a stack, against templates that multiply them.
const MAX_LOOKUPS: u32 = 20_000;

/// The types whose `Ref` is their name, with the property that contains it.
const NAMED: [(&str, &str); 8] = [
    ("AWS::CloudWatch::Alarm", "AlarmName"),
    ("AWS::CloudWatch::Dashboard", "DashboardName"),
    ("AWS::ECS::Cluster", "ClusterName"),
    ("AWS::IAM::Role", "RoleName"),
    ("AWS::Lambda::Function", "FunctionName"),
    ("AWS::Logs::LogGroup", "LogGroupName"),
    ("AWS::DynamoDB::Table", "TableName"),
    ("AWS::S3::Bucket", "BucketName"),
];

pub(super) struct Resolver<'a> {
    root: &'a Value,
    parameters: &'a BTreeMap<String, Parameter>,
    nested: Cell<u32>,
    lookups: Cell<u32>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(root: &'a Value, parameters: &'a BTreeMap<String, Parameter>) -> Self {
        Self { root, parameters, nested: Cell::new(0), lookups: Cell::new(0) }
    }

    /// Returns `None` for `AWS::NoValue`.
    pub(super) fn resolve(&self, value: &Value) -> Option<Value> {
        match value {
            Value::Array(items) => Some(items.iter().filter_map(|item| self.resolve(item)).collect()),
            Value::Object(map) => match map.iter().next() {
                Some((key, argument)) if map.len() == 1 && is_intrinsic(key) => self.intrinsic(key, argument),
                _ => {
                    let resolved =
                        map.iter().filter_map(|(key, item)| Some((key.clone(), self.resolve(item)?)));
                    Some(Value::Object(resolved.collect()))
                }
            },
            _ => Some(value.clone()),
        }
    }

    /// Returns true if a condition of the template holds. `None` if this is known only after the deployment.
    pub(super) fn condition(&self, name: &str) -> Option<bool> {
        self.nested(|| self.holds(self.root.get("Conditions")?.get(name)?)).flatten()
    }

    fn holds(&self, condition: &Value) -> Option<bool> {
        let (key, argument) = condition.as_object()?.iter().next()?;
        let all = || argument.as_array().into_iter().flatten().map(|inner| self.holds(inner));
        match key.as_str() {
            "Condition" => self.condition(argument.as_str()?),
            "Fn::Not" => all().next()?.map(|holds| !holds),
            "Fn::And" if all().any(|holds| holds == Some(false)) => Some(false),
            "Fn::And" => all().collect::<Option<Vec<_>>>().map(|_| true),
            "Fn::Or" if all().any(|holds| holds == Some(true)) => Some(true),
            "Fn::Or" => all().collect::<Option<Vec<_>>>().map(|_| false),
            "Fn::Equals" => {
                let [left, right] = argument.as_array()?.as_slice() else { return None };
                let (left, right) = (self.resolve(left)?, self.resolve(right)?);
                (is_known(&left) && is_known(&right)).then(|| plain(&left) == plain(&right))
            }
            _ => None,
        }
    }

    fn intrinsic(&self, key: &str, argument: &Value) -> Option<Value> {
        let unknown = || Some(Value::String(format!("${{{key}}}")));
        let worked_out = match key {
            "Ref" => return self.reference(argument.as_str().unwrap_or_default()),
            "Fn::GetAtt" => {
                attribute_path(argument).map(|(id, name)| self.attribute(&id, name.as_deref().unwrap_or("")))
            }
            "Fn::Sub" => self.sub(argument),
            "Fn::If" => {
                let parts = argument.as_array().map_or(&[][..], Vec::as_slice);
                let [name, then, otherwise] = parts else { return unknown() };
                match self.condition(name.as_str().unwrap_or_default()) {
                    Some(holds) => return self.resolve(if holds { then } else { otherwise }),
                    None => None,
                }
            }
            "Fn::Join" => self.join(argument),
            "Fn::Select" => self.select(argument),
            "Fn::Split" => self.split(argument),
            "Fn::FindInMap" => self.find_in_map(argument),
            "Fn::ToJsonString" => self.resolve(argument).map(|value| Value::String(value.to_string())),
            "Fn::Length" => self.resolve(argument)?.as_array().map(|items| items.len().into()),
            // No rule reads its content, and text in it must not count as a reference.
            _ => None,
        };
        worked_out.or_else(unknown)
    }

    /// Returns the value of `Ref`.
    fn reference(&self, name: &str) -> Option<Value> {
        if name == "AWS::NoValue" {
            return None;
        }
        if let Some(value) = self.parameters.get(name).and_then(|parameter| parameter.value.clone()) {
            return Some(value);
        }
        let property = NAMED.iter().find(|(kind, _)| *kind == self.kind(name)).map(|(_, property)| property);
        let named = property.and_then(|property| self.property(name, property));
        Some(named.unwrap_or_else(|| Value::String(format!("${{{name}}}"))))
    }

    /// Returns the value of `GetAtt`.
    fn attribute(&self, id: &str, attribute: &str) -> Value {
        let name = || self.property(id, "QueueName").as_ref().map(plain);
        let known = match (self.kind(id), attribute) {
            ("AWS::SQS::Queue", "Arn") => name().map(|name| queue_arn(&name)),
            ("AWS::SQS::Queue", "QueueName") => name(),
            ("AWS::SQS::Queue", "QueueUrl") => Some(format!("${{{id}}}")),
            ("AWS::DynamoDB::Table", "Arn") => {
                self.property(id, "TableName").as_ref().map(plain).map(|name| table_arn(&name))
            }
            ("AWS::ECS::Service", "Name") => self.property(id, "ServiceName").as_ref().map(plain),
            _ => None,
        };
        Value::String(known.unwrap_or_else(|| format!("${{{id}.{attribute}}}")))
    }

    fn kind(&self, id: &str) -> &'a str {
        section(self.root, "Resources").get(id).and_then(|raw| raw["Type"].as_str()).unwrap_or_default()
    }

    /// Returns a property of another resource.
    fn property(&self, id: &str, property: &str) -> Option<Value> {
        let raw = section(self.root, "Resources").get(id)?.get("Properties")?.get(property)?;
        self.nested(|| self.resolve(raw)).flatten()
    }

    fn nested<T>(&self, look: impl FnOnce() -> T) -> Option<T> {
        if self.nested.get() >= MAX_NESTED || self.lookups.get() >= MAX_LOOKUPS {
            return None;
        }
        self.lookups.set(self.lookups.get() + 1);
        self.nested.set(self.nested.get() + 1);
        let found = look();
        self.nested.set(self.nested.get() - 1);
        Some(found)
    }

    fn sub(&self, argument: &Value) -> Option<Value> {
        let own = argument.get(1).and_then(Value::as_object).cloned().unwrap_or_else(Map::new);
        let text = argument.as_str().or_else(|| argument.get(0)?.as_str())?;
        let mut out = String::new();
        for part in sub_parts(text) {
            match part {
                Ok(text) => out.push_str(text),
                Err(name) => {
                    let value = match (own.get(name), name.split_once('.')) {
                        (Some(own), _) => self.resolve(own),
                        (None, Some((id, attribute))) => Some(self.attribute(id, attribute)),
                        (None, None) => self.reference(name),
                    };
                    out.push_str(&value.as_ref().map(plain).unwrap_or_default());
                }
            }
        }
        Some(Value::String(out))
    }

    fn join(&self, argument: &Value) -> Option<Value> {
        let delimiter = argument.get(0)?.as_str()?;
        let items = self.resolve(argument.get(1)?)?;
        let texts: Vec<String> = items.as_array()?.iter().map(plain).collect();
        Some(Value::String(texts.join(delimiter)))
    }

    fn select(&self, argument: &Value) -> Option<Value> {
        let index = int(&self.resolve(argument.get(0)?)?)?;
        self.resolve(argument.get(1)?)?.get(usize::try_from(index).ok()?).cloned()
    }

    fn split(&self, argument: &Value) -> Option<Value> {
        let delimiter = argument.get(0)?.as_str().filter(|delimiter| !delimiter.is_empty())?;
        let text = self.resolve(argument.get(1)?)?;
        // A token stands for text that can contain any number of delimiters.
        is_known(&text).then(|| plain(&text).split(delimiter).map(Value::from).collect())
    }

    fn find_in_map(&self, argument: &Value) -> Option<Value> {
        let key = |index: usize| self.resolve(argument.get(index)?).as_ref().map(plain);
        self.root.get("Mappings")?.get(key(0)?)?.get(key(1)?)?.get(key(2)?).cloned()
    }
}

/// Returns true if an object with only this key is a function call.
pub(super) fn is_intrinsic(key: &str) -> bool {
    key == "Ref" || key.starts_with("Fn::")
}

/// Returns the resource and the attribute of a `GetAtt`, in either spelling.
pub(super) fn attribute_path(argument: &Value) -> Option<(String, Option<String>)> {
    match argument {
        Value::String(path) => {
            let (id, attribute) =
                path.split_once('.').map_or((path.as_str(), None), |(id, name)| (id, Some(name)));
            Some((id.to_owned(), attribute.map(str::to_owned)))
        }
        Value::Array(parts) => {
            let attribute = parts.get(1).and_then(Value::as_str).map(str::to_owned);
            Some((parts.first()?.as_str()?.to_owned(), attribute))
        }
        _ => None,
    }
}

/// Returns the parts of a `Sub`'s text: `Ok` for literal text, `Err` for a name to replace.
pub(super) fn sub_parts(text: &str) -> impl Iterator<Item = Result<&str, &str>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let placeholder =
            |text: &'_ str| -> Option<usize> { text.strip_prefix("${")?.find('}').map(|end| end + 3) };
        if let Some(length) = placeholder(rest) {
            let (whole, after) = rest.split_at(length);
            rest = after;
            let name = whole[2..length - 1].trim();
            // `${!Name}` is the literal `${Name}`.
            return Some(if name.starts_with('!') { Ok(whole) } else { Err(name) });
        }
        let from = if rest.starts_with("${") { 2 } else { 0 };
        let end = rest[from..].find("${").map_or(rest.len(), |at| at + from);
        let (literal, after) = rest.split_at(end);
        rest = after;
        Some(Ok(literal))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use crate::Template;
    use crate::model::{Resource, Target, queue_arn};

    const TEMPLATE: &str = r#"
Parameters:
  Service: { Type: String, Default: jobs }
  Retention: { Type: Number, Default: "60" }
  Topic: { Type: String }
  Stage: { Type: String, Default: prod }
Mappings:
  Sizes: { prod: { memory: 512 } }
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
  IsTest: !Not [Condition: IsProd]
  Unknown: !Equals [!Ref Topic, ""]
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub "${Service}-${!literal}"
      MessageRetentionPeriod: !Ref Retention
  Nameless: { Type: AWS::SQS::Queue }
  OnlyInTest: { Type: AWS::SNS::Topic, Condition: IsTest }
  Perhaps: { Type: AWS::SNS::Topic, Condition: Unknown }
  Thing:
    Type: Custom::Thing
    Properties:
      Arn: !GetAtt Queue.Arn
      Built: !Sub "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:${Service}-${!literal}"
      Long: { "Fn::GetAtt": [Nameless, Arn] }
      Url: !Ref Queue
      Topic: !Ref Topic
      Joined: !Join ["-", [a, !Ref Service, !Ref Topic]]
      Picked: !Select [1, !Split [",", "a,b"]]
      Mapped: !FindInMap [Sizes, !Ref Stage, memory]
      Chosen: !If [IsProd, { big: true }, !Ref "AWS::NoValue"]
      Left: !If [IsTest, x, !Ref "AWS::NoValue"]
      Unsure: !If [Unknown, x, y]
      Imported: !ImportValue other
      Own: !Sub ["${Own}/${Service}", { Own: !Ref Retention }]
      Account: 012345678901
"#;

    fn thing(values: &BTreeMap<String, Value>) -> Resource {
        Template::parse("t.yaml", TEMPLATE).unwrap().stack(values).resources["Thing"].clone()
    }

    #[test]
    fn values_are_worked_out_as_far_as_they_are_known() {
        let arn = queue_arn("jobs-${!literal}");
        let expected = json!({
            "Arn": arn, "Built": arn, "Long": "${Nameless.Arn}", "Url": "${Queue}", "Topic": "${Topic}",
            "Joined": "a-jobs-${Topic}", "Picked": "b", "Mapped": 512, "Chosen": { "big": true }, "Unsure": "${Fn::If}",
            "Imported": "${Fn::ImportValue}", "Own": "60/jobs", "Account": "012345678901",
        });
        assert_eq!(thing(&BTreeMap::new()).properties, expected);
    }

    #[test]
    fn a_chosen_value_takes_the_default_s_place_everywhere() {
        let values =
            BTreeMap::from([("Retention".to_owned(), json!(5)), ("Stage".to_owned(), json!("test"))]);
        let thing = thing(&values);
        assert_eq!((thing.text("/Own"), thing.text("/Left")), (Some("5/jobs"), Some("x")));
        assert_eq!(thing.get("/Chosen"), None);
    }

    #[test]
    fn resources_are_left_out_only_if_their_condition_is_false() {
        let stack = Template::parse("t.yaml", TEMPLATE).unwrap().stack(&BTreeMap::new());
        assert!(stack.resources.contains_key("Perhaps") && !stack.resources.contains_key("OnlyInTest"));
        assert!(stack.declared.contains(&"OnlyInTest".to_owned()));
    }

    #[test]
    fn references_are_those_of_the_value() {
        let thing = thing(&BTreeMap::new());
        let at = |pointer| thing.references_at(pointer).cloned().collect::<Vec<_>>();
        let attribute = |id: &str| Target::Resource { id: id.to_owned(), attribute: Some("Arn".to_owned()) };
        assert_eq!(at("/Arn"), [attribute("Queue")]);
        assert_eq!(at("/Long"), [attribute("Nameless")]);
        assert_eq!(
            at("/Own"),
            [Target::Parameter("Service".to_owned()), Target::Parameter("Retention".to_owned())]
        );
        assert_eq!(at("/Imported"), [Target::Import]);
    }

    const BRANCHES: &str = r#"
Parameters:
  Key: { Type: String, Default: "" }
  Extra: { Type: String, Default: more }
Conditions:
  HasKey: !Not [!Equals [!Ref Key, ""]]
Resources:
  Thing:
    Type: Custom::Thing
    Properties:
      List:
        - first
        - !If [HasKey, !Ref Extra, !Ref "AWS::NoValue"]
        - Name: !Sub "${Key}x"
"#;

    /// A position is that of the item in the result, not in the template.
    #[test]
    fn places_are_those_of_the_branches_taken() {
        let template = Template::parse("t.yaml", BRANCHES).unwrap();
        let line = BRANCHES.lines().position(|line| line.contains("Name:")).unwrap() + 1;
        let extra = Target::Parameter("Extra".to_owned());
        let key = Target::Parameter("Key".to_owned());
        let without = template.stack(&BTreeMap::new());
        let thing = &without.resources["Thing"];
        assert_eq!(thing.get("/List"), Some(&json!(["first", { "Name": "x" }])));
        assert_eq!((thing.line("/List/1/Name"), thing.line("/List/2/Name")), (Some(line), Some(line - 2)));
        assert_eq!(thing.references_at("/List/1/Name").collect::<Vec<_>>(), [&key]);
        assert_eq!(thing.references_at("").collect::<Vec<_>>(), [&key]);
        assert!(without.references.iter().any(|reference| reference.to == extra), "known in spite of it");
        let with = template.stack(&BTreeMap::from([("Key".to_owned(), json!("k"))]));
        let thing = &with.resources["Thing"];
        assert_eq!(thing.get("/List"), Some(&json!(["first", "more", { "Name": "kx" }])));
        assert_eq!((thing.line("/List/1"), thing.line("/List/2/Name")), (Some(line - 1), Some(line)));
        assert_eq!(thing.references_at("/List/1").collect::<Vec<_>>(), [&extra]);
        assert_eq!(thing.references_at("/List/2/Name").collect::<Vec<_>>(), [&key]);
    }

    #[test]
    fn lines_are_those_of_the_values() {
        let thing = thing(&BTreeMap::new());
        let line = TEMPLATE.lines().position(|line| line.contains("Picked:")).unwrap() + 1;
        assert_eq!(thing.line("/Picked"), Some(line));
        assert_eq!(thing.line("/Joined/deeper"), Some(line - 1));
    }
}
