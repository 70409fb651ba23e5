//! Parses YAML that the strict parser refuses and AWS accepts: a closing bracket left of its opening line, or a quoted text
//! that continues in the first column. The parser used here knows no lines.

use serde_json::{Map, Number, Value};

use super::yaml::tagged;

/// The maximum number of brackets open at once, including those in texts. With many more, this parser's time grows with the
/// square of their number. The parser itself limits the nesting of its input.
const MAX_OPEN: i32 = 1000;

pub(super) fn parse(text: &str) -> Result<Value, String> {
    let open = text.bytes().scan(0, |open: &mut i32, byte| {
        *open += i32::from(matches!(byte, b'[' | b'{')) - i32::from(matches!(byte, b']' | b'}'));
        Some(*open)
    });
    if open.max().is_some_and(|most| most > MAX_OPEN) {
        return Err("nested too deep".to_owned());
    }
    serde_norway::from_str(text).map(long_form).map_err(|error| error.to_string())
}

fn long_form(value: serde_norway::Value) -> Value {
    match value {
        serde_norway::Value::Null => Value::Null,
        serde_norway::Value::Bool(truth) => Value::Bool(truth),
        serde_norway::Value::Number(number) => {
            let integer = number.as_i64().map(Number::from);
            integer.or_else(|| Number::from_f64(number.as_f64()?)).map_or(Value::Null, Value::Number)
        }
        serde_norway::Value::String(text) => Value::String(text),
        serde_norway::Value::Sequence(items) => items.into_iter().map(long_form).collect(),
        serde_norway::Value::Mapping(map) => {
            let entries =
                map.into_iter().map(|(key, value)| (crate::value::plain(&long_form(key)), long_form(value)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
        serde_norway::Value::Tagged(inner) => {
            let name = inner.tag.to_string();
            tagged(long_form(inner.value), Some(name.trim_start_matches('!')))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::super::yaml;
    use super::*;

    #[test]
    fn reads_as_the_strict_parser_does_where_both_can() {
        let text = "A: !Sub '${B}'\nB: [!GetAtt C.D, !Ref E, 1, 1.5, true, ~, 007, x]\nC: !If [F, 'a', \"b\"]\n1: &x {Y: z}\nZ: *x\n";
        assert_eq!(parse(text).unwrap(), yaml::parse(text).unwrap().root);
    }

    #[test]
    fn takes_what_aws_takes() {
        let text = "A:\n    B: [\n      x\n  ]\n    C: !Sub '{\n  }'\n";
        assert!(yaml::parse(text).is_err());
        assert_eq!(parse(text).unwrap(), json!({ "A": { "B": ["x"], "C": { "Fn::Sub": "{ }" } } }));
    }
}
