//! Message attributes in textual form, and SQS's rules for them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drumline::message::{
    Attribute, AttributeValue, CONTENT_ENCODING_ATTRIBUTE, LEGACY_PAYLOAD_SIZE_ATTRIBUTE,
    PAYLOAD_SIZE_ATTRIBUTE, Traceparent,
};
pub(crate) use drumline_runtime::limits::attributes_bytes as size;
use drumline_runtime::limits::{MAX_ATTRIBUTES, is_allowed};

/// The attributes of a message, by name.
pub type Attributes = BTreeMap<String, Attribute>;

/// The names and types of attributes have 256 characters at most. See
/// [Message quotas](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html).
const MAX_NAME: usize = 256;

/// The attribute in which workers in all languages find the trace.
pub(crate) const TRACEPARENT: &str = "traceparent";

/// The attributes that describe a body in S3 or a compressed body. They would make any other body unreadable.
const OF_ENCODED_BODIES: [&str; 3] =
    [CONTENT_ENCODING_ATTRIBUTE, PAYLOAD_SIZE_ATTRIBUTE, LEGACY_PAYLOAD_SIZE_ATTRIBUTE];

/// The largest number of digits of a number, and the limits of its powers of ten. See [Message attribute data
/// types](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html).
const MAX_DIGITS: usize = 38;
const MIN_EXPONENT: i64 = -128;
const MAX_EXPONENT: i64 = 126;

/// Prefixes of names that are reserved for AWS, in lower case.
const RESERVED: [&str; 2] = ["aws.", "amazon."];

/// Parses an attribute: `NAME=VALUE` is a text, `NAME:TYPE=VALUE` has a data type, such as `Number` or `String.json`. The value
/// of a `Binary` is base64.
///
/// ```
/// use drumline_producer::attribute;
/// let (name, tenant) = attribute("tenant=acme")?;
/// assert_eq!((&*name, tenant.data_type(), tenant.as_text()), ("tenant", "String", Some("acme")));
/// assert_eq!(attribute("size:Number=7")?.1.data_type(), "Number");
/// assert!(attribute("size:Number=seven").is_err());
/// # Ok::<(), String>(())
/// ```
///
/// # Errors
///
/// Returns the reason why SQS would not accept it.
pub fn attribute(text: &str) -> Result<(String, Attribute), String> {
    let (key, value) = text.split_once('=').ok_or("write it as NAME=VALUE or NAME:TYPE=VALUE")?;
    let (name, data_type) = key.split_once(':').unwrap_or((key, "String"));
    check_name(name)?;
    let value = self::value(data_type, value).map_err(|error| format!("{name}: {error}"))?;
    let attribute = Attribute::new(data_type, value);
    check_attribute(name, &attribute).map_err(|error| format!("{name}: {error}"))?;
    Ok((name.to_owned(), attribute))
}

fn value(data_type: &str, text: &str) -> Result<AttributeValue, String> {
    let value = if data_type.split('.').next() == Some("Binary") {
        let bytes = STANDARD.decode(text).map_err(|error| format!("the value is not base64: {error}"))?;
        AttributeValue::Binary(bytes)
    } else {
        AttributeValue::Text(text.to_owned())
    };
    Ok(value)
}

/// Accepts an attribute that SQS accepts and workers can read.
///
/// # Errors
///
/// Returns the reason why it must not be sent.
pub(crate) fn check_attribute(name: &str, attribute: &Attribute) -> Result<(), String> {
    check_name(name)?;
    if OF_ENCODED_BODIES.contains(&name) {
        return Err(
            "is set by the producer itself, for a body that it compresses or puts into S3: leave it out"
                .to_owned(),
        );
    }
    check_value(attribute.data_type(), attribute.value())?;
    if name == TRACEPARENT && attribute.as_text().and_then(Traceparent::parse).is_none() {
        return Err("is not a W3C traceparent such as 00-TRACE-PARENT-01".to_owned());
    }
    Ok(())
}

fn check_value(data_type: &str, value: &AttributeValue) -> Result<(), String> {
    if data_type.len() > MAX_NAME {
        return Err(format!("a type has at most {MAX_NAME} characters"));
    }
    let (base, _label) = data_type.split_once('.').unwrap_or((data_type, ""));
    let text = match (base, value) {
        ("String" | "Number", AttributeValue::Text(text)) => text,
        ("Binary", AttributeValue::Binary(bytes)) if bytes.is_empty() => {
            return Err("SQS accepts no empty value".to_owned());
        }
        ("Binary", AttributeValue::Binary(_)) => return Ok(()),
        ("String" | "Number" | "Binary", _) => {
            return Err(format!("the type {data_type:?} is for text or numbers, and Binary for bytes"));
        }
        _ => {
            return Err(format!(
                "the type {data_type:?} is none of String, Number and Binary, each also with a label such as String.json"
            ));
        }
    };
    if text.is_empty() {
        return Err("SQS accepts no empty value".to_owned());
    }
    if base == "Number" {
        check_number(text)?;
    }
    match text.chars().find(|c| !is_allowed(*c)) {
        Some(c) => Err(format!("SQS does not accept the character U+{:04X}", u32::from(c))),
        None => Ok(()),
    }
}

fn check_number(text: &str) -> Result<(), String> {
    let is_decimal = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    if !text.bytes().all(is_decimal) || text.parse::<f64>().is_err() {
        return Err(format!("{text:?} is not a number"));
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{}{fraction}", whole.trim_start_matches(['+', '-']));
    let significant = digits.trim_matches('0');
    // The power of ten of the first significant digit.
    let leading_zeros = digits.len() - digits.trim_start_matches('0').len();
    let power = i64::try_from(digits.len() - fraction.len()).ok().zip(i64::try_from(leading_zeros).ok());
    let power = power.zip(exponent.parse::<i64>().ok());
    let power = power.and_then(|((whole, zeros), exponent)| exponent.checked_add(whole - 1 - zeros));
    let is_in_range = power.is_some_and(|power| {
        (MIN_EXPONENT..MAX_EXPONENT).contains(&power) || (power == MAX_EXPONENT && significant == "1")
    });
    if significant.is_empty() || (is_in_range && significant.len() <= MAX_DIGITS) {
        return Ok(());
    }
    Err(format!(
        "SQS takes numbers of up to {MAX_DIGITS} digits between 10^{MIN_EXPONENT} and 10^{MAX_EXPONENT}: send it as a String"
    ))
}

fn check_name(name: &str) -> Result<(), String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let lower = name.to_ascii_lowercase();
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_allowed) {
        return Err(format!(
            "the name {name:?} is not of 1 to {MAX_NAME} letters, digits, underscores, hyphens and periods"
        ));
    }
    if name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        return Err(format!("the name {name:?} has a period at an end, or two in a row"));
    }
    if RESERVED.iter().any(|beginning| lower.starts_with(beginning)) {
        return Err(format!("the name {name:?} is reserved by AWS"));
    }
    Ok(())
}

/// Collects attributes into a map.
///
/// # Errors
///
/// Returns an error if a name is given twice, or if there are more attributes than a message can have.
pub fn attributes(all: impl IntoIterator<Item = (String, Attribute)>) -> Result<Attributes, String> {
    let mut attributes = Attributes::new();
    for (name, attribute) in all {
        if attributes.contains_key(&name) {
            return Err(format!("the attribute {name} is given twice"));
        }
        attributes.insert(name, attribute);
    }
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(format!("{} attributes are more than SQS's {MAX_ATTRIBUTES}", attributes.len()));
    }
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn attributes_are_typed_and_the_first_equals_sign_ends_the_name() {
        let text = |text: &str| AttributeValue::Text(text.to_owned());
        let table = [
            ("tenant=acme", "tenant", "String", text("acme")),
            ("query=a=b:c", "query", "String", text("a=b:c")),
            ("size:Number=7", "size", "Number", text("7")),
            ("ratio:Number.float=-1.5e3", "ratio", "Number.float", text("-1.5e3")),
            ("doc:String.json={}", "doc", "String.json", text("{}")),
            ("sum:Binary=AAEC", "sum", "Binary", AttributeValue::Binary(vec![0, 1, 2])),
        ];
        for (given, name, data_type, value) in table {
            let (key, attribute) = attribute(given).unwrap();
            assert_eq!((&*key, attribute.data_type(), attribute.value()), (name, data_type, &value));
        }
    }

    #[test]
    fn an_attribute_that_sqs_refuses_is_refused_with_a_reason() {
        let table = [
            ("tenant", "NAME=VALUE"),
            ("=x", "name"),
            ("a b=x", "name"),
            (".a=x", "period"),
            ("a..b=x", "period"),
            ("AWS.x=1", "reserved"),
            ("tenant=", "empty"),
            ("a:Number=x", "not a number"),
            ("a:Number=NaN", "not a number"),
            ("a:Number=1e", "not a number"),
            ("a:Number=1e127", "up to 38 digits between 10^-128 and 10^126"),
            ("a:Number=1.1e126", "38 digits"),
            ("a:Number=9e-129", "38 digits"),
            ("a:Number=1e400", "38 digits"),
            ("a:Number=1e99999999999999999999", "38 digits"),
            ("a:Number=123456789012345678901234567890123456789", "38 digits"),
            ("traceparent=00-1-2-01", "traceparent: is not a W3C traceparent"),
            ("contentEncoding=gzip", "contentEncoding: is set by the producer itself"),
            ("ExtendedPayloadSize:Number=7", "leave it out"),
            ("SQSLargePayloadSize:Number=7", "leave it out"),
            ("a:Binary=***", "base64"),
            ("a:Text=x", "String, Number and Binary"),
            ("a=\u{1}", "U+0001"),
        ];
        for (given, says) in table {
            let error = attribute(given).unwrap_err();
            assert!(error.contains(says), "{given}: {error}");
        }
    }

    #[test]
    fn numbers_that_sqs_documents_pass() {
        let zeros = format!("1{}", "0".repeat(126));
        for text in [
            "0",
            "-0.0e999",
            "0e99999999999999999999",
            "+1",
            ".5",
            "5.",
            "1e126",
            "-9.9E125",
            "1e-128",
            "0.001e-125",
            &zeros,
            "0012345678901234567890123456789012345678.9",
            "12345678901234567890123456789012345678",
            "1_000",
        ] {
            let expected = text != "1_000" && !text.ends_with("678.9");
            assert_eq!(check_number(text).is_ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_message_has_ten_attributes_with_a_name_each() {
        let some = |count: usize| (0..count).map(|n| (format!("a{n}"), Attribute::text("x")));
        assert_eq!(size(&attributes(some(10)).unwrap()), 10 * (2 + 6 + 1));
        assert!(attributes(some(11)).unwrap_err().contains("10"));
        assert!(attributes(some(1).chain(some(1))).unwrap_err().contains("twice"));
    }
}
