//! The choices of parameters' values at which a template is checked: its defaults, each parameter's bounds, and its optional
//! parts, which a parameter switches on or off.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::model::Parameter;
use crate::value::{int, number, whole_match};

/// Values of parameters by name.
pub(crate) type Values = BTreeMap<String, Value>;

/// A choice other than the defaults.
#[derive(Debug, PartialEq)]
pub(crate) struct Variant {
    pub(crate) values: Values,
    /// The description of the choice, for findings.
    pub(crate) label: String,
    /// True if a parameter's number is at its bound, for the rules that are checked there. Otherwise an optional part is
    /// switched on or off, for all rules.
    pub(crate) is_bound: bool,
}

/// The maximum number of words of a parameter that switches a part. A longer list contains values that are passed on unchanged,
/// such as instance types.
/// types of instances.
const MAX_WORDS: usize = 4;

/// Sample texts for the parameters' kinds, from general to specific. The first that matches a parameter's pattern is its
/// sample.
const SAMPLES: [&str; 17] = [
    "sample",
    "sample.env",
    "/usr/local/bin/sample",
    "http://127.0.0.1:8080/jobs",
    "redis://sample.example:6379",
    "registry.example/sample:1.0.0",
    "subnet-0123456789abcdef0",
    "sg-0123456789abcdef0",
    "arn:aws:kms:eu-west-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef",
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:sample-AbCdEf",
    "arn:aws:s3:::sample/sample.env",
    "arn:aws:iam::123456789012:policy/sample",
    "arn:aws:sns:eu-west-1:123456789012:sample",
    "arn:aws:sqs:eu-west-1:123456789012:sample",
    "arn:aws:dynamodb:eu-west-1:123456789012:table/sample",
    "arn:aws:lambda:eu-west-1:123456789012:capacity-provider:sample",
    "arn:aws:acm:eu-west-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef",
];

/// Returns the values of a template's defaults. A parameter without a default that may be empty is empty.
pub(crate) fn defaults(parameters: &BTreeMap<String, Parameter>) -> Values {
    let undecided = parameters.iter().filter(|(_, own)| own.default.is_none() && may_be_empty(own));
    undecided.map(|(name, own)| (name.clone(), empty(own))).collect()
}

/// Returns the choices other than the defaults: one parameter at a time, and all optional parts at once.
pub(crate) fn variants(parameters: &BTreeMap<String, Parameter>) -> Vec<Variant> {
    let defaults = defaults(parameters);
    let with = |chosen: &[(&str, &Value)]| {
        let mut values = defaults.clone();
        values.extend(chosen.iter().map(|(name, value)| ((*name).to_owned(), (*value).clone())));
        values
    };
    let mut variants = Vec::new();
    let mut optional = Vec::new();
    for (name, parameter) in parameters {
        let options = options(parameter);
        let (bounds, is_bound) =
            if options.is_empty() { (bounds(parameter), true) } else { (options.clone(), false) };
        variants.extend(bounds.iter().map(|value| Variant {
            values: with(&[(name.as_str(), value)]),
            label: format!("where {name} is {value}"),
            is_bound,
        }));
        optional.extend(options.into_iter().next().map(|first| (name.as_str(), first)));
    }
    if optional.len() > 1 {
        let chosen: Vec<(&str, &Value)> = optional.iter().map(|(name, value)| (*name, value)).collect();
        let label = "where every optional part is used".to_owned();
        variants.push(Variant { values: with(&chosen), label, is_bound: false });
    }
    variants
}

/// Returns the minimum and the maximum of a parameter that is a number.
fn bounds(parameter: &Parameter) -> Vec<Value> {
    let listed = || parameter.allowed.iter().filter_map(number);
    let least = parameter.min.or_else(|| listed().reduce(f64::min));
    let greatest = parameter.max.or_else(|| listed().reduce(f64::max));
    [least, greatest].into_iter().flatten().map(whole).collect()
}

/// Bounds are written as integers. Floats would appear as `5.0` in texts built from them.
fn whole(number: f64) -> Value {
    int(&Value::from(number)).map_or_else(|| Value::from(number), Value::from)
}

/// Returns the values of a parameter that differ from its default by more than a number: a word of a list, or a text if there
/// is no default.
fn options(parameter: &Parameter) -> Vec<Value> {
    let default = parameter.default.as_ref();
    if parameter.allowed.iter().any(|value| number(value).is_none()) {
        let others =
            parameter.allowed.iter().filter(|value| default.is_some_and(|default| default != *value));
        return if parameter.allowed.len() > MAX_WORDS { Vec::new() } else { others.cloned().collect() };
    }
    if parameter.allowed.is_empty() && default.map_or_else(|| may_be_empty(parameter), is_empty) {
        return sample(parameter).into_iter().collect();
    }
    Vec::new()
}

fn is_empty(value: &Value) -> bool {
    matches!(value, Value::Null) || value == "" || value.as_array().is_some_and(Vec::is_empty)
}

/// Returns true if a parameter's pattern allows an empty value.
fn may_be_empty(parameter: &Parameter) -> bool {
    parameter.pattern.as_deref().and_then(whole_match).is_some_and(|pattern| pattern.is_match(""))
}

/// Returns an empty value of a parameter's type.
fn empty(parameter: &Parameter) -> Value {
    if parameter.kind == "CommaDelimitedList" { json!([]) } else { json!("") }
}

/// Returns a value that matches a parameter's type and pattern.
fn sample(parameter: &Parameter) -> Option<Value> {
    let pattern = parameter.pattern.as_deref().map(whole_match);
    let fits = |text: &str| match &pattern {
        None => true,
        Some(pattern) => pattern.as_ref().is_some_and(|pattern| pattern.is_match(text)),
    };
    let text = SAMPLES.into_iter().find(|text| fits(text))?;
    match parameter.kind.as_str() {
        "String" => Some(json!(text)),
        "CommaDelimitedList" => Some(json!([text])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parameter(default: Option<Value>, pattern: Option<&str>) -> Parameter {
        Parameter {
            kind: "String".to_owned(),
            value: default.clone(),
            default,
            pattern: pattern.map(str::to_owned),
            ..Parameter::default()
        }
    }

    fn of(name: &str, parameter: Parameter) -> BTreeMap<String, Parameter> {
        BTreeMap::from([(name.to_owned(), parameter)])
    }

    fn values(parameters: &BTreeMap<String, Parameter>) -> Vec<Value> {
        variants(parameters).iter().map(|variant| variant.values["P"].clone()).collect()
    }

    #[test]
    fn a_sample_fits_the_pattern() {
        let pattern = Some("^(arn:[a-z-]+:iam::[0-9]{12}:policy/.+)?$");
        assert_eq!(
            values(&of("P", parameter(Some(json!("")), pattern))),
            ["arn:aws:iam::123456789012:policy/sample"]
        );
        assert_eq!(values(&of("P", parameter(Some(json!("")), None))), ["sample"]);
        let list = Parameter { kind: "CommaDelimitedList".to_owned(), ..parameter(Some(json!([])), None) };
        assert_eq!(values(&of("P", list)), [json!(["sample"])]);
        assert!(values(&of("P", parameter(Some(json!("")), Some("^(none of them)?$")))).is_empty());
    }

    #[test]
    fn a_required_text_and_one_with_a_default_are_not_options() {
        assert!(values(&of("P", parameter(None, Some("^.+$")))).is_empty());
        assert!(values(&of("P", parameter(None, None))).is_empty());
        assert!(values(&of("P", parameter(Some(json!("jobs")), Some("^.*$")))).is_empty());
    }

    #[test]
    fn words_of_a_list_are_options_and_numbers_are_bounds() {
        let words =
            Parameter { allowed: vec![json!("off"), json!("on")], ..parameter(Some(json!("off")), None) };
        let of_words = variants(&of("P", words));
        assert_eq!(
            (of_words[0].values["P"].clone(), of_words[0].is_bound, of_words.len()),
            (json!("on"), false, 1)
        );
        let types = ["a", "b", "c", "d", "e"].map(|word| json!(word)).to_vec();
        let many = Parameter { allowed: types, ..parameter(Some(json!("a")), None) };
        assert!(values(&of("P", many)).is_empty());
        let number = Parameter { min: Some(1.0), max: Some(9.0), ..parameter(Some(json!(5)), None) };
        let of_number = variants(&of("P", number));
        assert!(of_number.iter().all(|variant| variant.is_bound));
        assert_eq!(
            of_number.iter().map(|variant| variant.values["P"].clone()).collect::<Vec<_>>(),
            [json!(1), json!(9)]
        );
    }

    #[test]
    fn all_options_are_used_at_once_too() {
        let mut parameters = of("P", parameter(Some(json!("")), None));
        parameters.extend(of("Q", parameter(None, Some("^[a-z]*$"))));
        let all = variants(&parameters);
        assert_eq!(all.len(), 3);
        assert_eq!(
            all[0].values,
            BTreeMap::from([("P".to_owned(), json!("sample")), ("Q".to_owned(), json!(""))])
        );
        let both = BTreeMap::from([("P".to_owned(), json!("sample")), ("Q".to_owned(), json!("sample"))]);
        assert_eq!(all[2].values, both);
    }
}
