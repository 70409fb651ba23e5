//! Checks messages against SQS's rules before they are sent; errors name the invalid field. See
//! [SendMessage](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html).

use drumline_runtime::limits::{MAX_ATTRIBUTES, MAX_MESSAGE_BYTES, is_allowed};

use crate::attributes::{Attributes, check_attribute, size};
use crate::body_fields::{field_at, large_fields};
use crate::options::{MAX_DELAY_SECS, check_id};
use crate::pack::Outgoing;
use crate::unsendable::Unsendable;

/// The size from which an error about a too large message names a field.
const LARGE: usize = MAX_MESSAGE_BYTES / 10;

/// The largest number of fields that an error names.
const MOST_NAMED: usize = 3;

/// Accepts a body with its attributes. `max_bytes` is the size limit if large messages are offloaded or compressed before they
/// are sent.
pub(crate) fn check_content(
    body: &str,
    attributes: &Attributes,
    max_bytes: Option<usize>,
) -> Result<(), Unsendable> {
    if body.is_empty() {
        return Err(Unsendable::new("the body", "is empty, and SQS takes no empty one"));
    }
    check_size(body, attributes, max_bytes)?;
    check_characters(body)?;
    if attributes.len() > MAX_ATTRIBUTES {
        let reason =
            format!("{} are more than SQS's {MAX_ATTRIBUTES}: send them in the payload", attributes.len());
        return Err(Unsendable::new("attributes", reason));
    }
    for (name, attribute) in attributes {
        check_attribute(name, attribute).map_err(|reason| Unsendable::new(named(name), reason))?;
    }
    Ok(())
}

/// Accepts the group, the deduplication id, the delay and the trace of a message.
pub(crate) fn check_parameters(message: &Outgoing, is_fifo: bool) -> Result<(), Unsendable> {
    match &message.group {
        Some(group) => check_id(group).map_err(|reason| Unsendable::new("group", reason))?,
        None if is_fifo => {
            return Err(Unsendable::new(
                "group",
                "a FIFO queue needs one: jobs of one group are done one after the other",
            ));
        }
        None => {}
    }
    if is_fifo {
        check_id(&message.deduplication_id).map_err(|reason| Unsendable::new("deduplication id", reason))?;
    }
    match message.delay_secs {
        Some(1..) if is_fifo => {
            return Err(Unsendable::new(
                "delay",
                "single messages of a FIFO queue have none: set DelaySeconds of the queue",
            ));
        }
        Some(secs) if u64::from(secs) > MAX_DELAY_SECS => {
            return Err(Unsendable::new(
                "delay",
                format!("{secs} seconds are more than SQS's {MAX_DELAY_SECS}"),
            ));
        }
        _ => {}
    }
    match &message.trace_header {
        Some(header) if header.is_empty() || !header.chars().all(is_allowed) => {
            Err(Unsendable::new("trace header", "is empty, or has characters that SQS does not take"))
        }
        _ => Ok(()),
    }
}

fn check_size(body: &str, attributes: &Attributes, max_bytes: Option<usize>) -> Result<(), Unsendable> {
    let bytes = body.len() + size(attributes);
    if bytes <= max_bytes.unwrap_or(MAX_MESSAGE_BYTES) {
        return Ok(());
    }
    let of_attribute = |(name, attribute): (&String, _)| {
        let one = Attributes::from([(name.clone(), Clone::clone(attribute))]);
        (named(name), size(&one))
    };
    let large_attributes = attributes.iter().map(of_attribute).filter(|(_, bytes)| *bytes >= LARGE);
    let mut large = large_fields(body, LARGE);
    large.extend(large_attributes);
    large.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let named = large.iter().take(MOST_NAMED);
    let parts: Vec<String> =
        named.map(|(field, bytes)| format!("; {field} is {} kB of it", bytes / 1_000)).collect();
    let parts = parts.concat();
    let limit = match max_bytes {
        Some(most) => format!("DRUMLINE_MAX_PAYLOAD_SIZE ({most})"),
        None => "SQS's 1,048,576".to_owned(),
    };
    let reason = format!(
        "{bytes} bytes of body and attributes are more than {limit}{parts}: put the data into S3 and send a reference"
    );
    let field = large.into_iter().next().map_or_else(|| "the body".to_owned(), |(field, _)| field);
    Err(Unsendable::new(field, reason))
}

fn check_characters(body: &str) -> Result<(), Unsendable> {
    let Some((place, c)) = body.char_indices().find(|(_, c)| !is_allowed(*c)) else { return Ok(()) };
    let code = u32::from(c);
    let reason = format!("SQS does not take the character U+{code:04X}: write it as \\u{code:04x} in JSON");
    Err(Unsendable::new(field_at(body, place), reason))
}

fn named(attribute: &str) -> String {
    format!("attribute {}", attribute.escape_debug())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use drumline::message::{Attribute, AttributeValue};

    use super::*;

    fn text(result: Result<(), Unsendable>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn a_body_is_refused_with_the_field_that_is_at_fault() {
        let job = |payload: &str| format!(r#"{{"type":"a.b","payload":{payload}}}"#);
        let large = job(&format!(r#"{{"html":"{}","text":"{}"}}"#, "x".repeat(900_000), "y".repeat(150_000)));
        let many = job(&format!(r#"{{"items":[{}1]}}"#, "10,".repeat(400_000)));
        let table = [
            (String::new(), "the body: is empty, and SQS takes no empty one"),
            (
                large,
                "payload.html: 1050046 bytes of body and attributes are more than SQS's 1,048,576; payload.html is 900 kB of it; \
                 payload.text is 150 kB of it: put the data into S3 and send a reference",
            ),
            (
                many,
                "payload.items: 1200038 bytes of body and attributes are more than SQS's 1,048,576; payload.items is 1200 kB of it: \
                 put the data into S3 and send a reference",
            ),
            (
                job("{\"user\":{\"name\":\"a\u{1}\"}}"),
                "payload.user.name: SQS does not take the character U+0001: write it as \\u0001 in JSON",
            ),
            (
                job("[\"a\",\"\u{FFFF}\"]"),
                "payload[1]: SQS does not take the character U+FFFF: write it as \\uffff in JSON",
            ),
            (
                job("{\"a\u{0}\":1}"),
                "a name in payload: SQS does not take the character U+0000: write it as \\u0000 in JSON",
            ),
            (
                "\u{1b}".to_owned(),
                "the body: SQS does not take the character U+001B: write it as \\u001b in JSON",
            ),
        ];
        for (body, expected) in table {
            assert_eq!(text(check_content(&body, &Attributes::new(), None)), expected);
        }
        let escaped = job(r#"{"a":"\u0001 \ud83d\ude00 \uffff","b":"ü\t😀"}"#);
        assert_eq!(check_content(&escaped, &Attributes::new(), None), Ok(()));
    }

    #[test]
    fn attributes_are_refused_by_their_names() {
        let of = |name: &str, data_type: &str, value: &str| {
            Attributes::from([(
                name.to_owned(),
                Attribute::new(data_type, AttributeValue::Text(value.to_owned())),
            )])
        };
        let many = (0..11).map(|n| (format!("a{n}"), Attribute::text("x"))).collect();
        let large = Attributes::from([("doc".to_owned(), Attribute::text("x".repeat(MAX_MESSAGE_BYTES)))]);
        let table = [
            (many, "attributes: 11 are more than SQS's 10: send them in the payload"),
            (of("tenant", "String", ""), "attribute tenant: SQS accepts no empty value"),
            (of("tenant", "String", "\u{1}"), "attribute tenant: SQS does not accept the character U+0001"),
            (of("size", "Number", "seven"), "attribute size: \"seven\" is not a number"),
            (
                of("size", "Text", "x"),
                "attribute size: the type \"Text\" is none of String, Number and Binary, each also with a label such as String.json",
            ),
            (of("AWS.x", "String", "x"), "attribute AWS.x: the name \"AWS.x\" is reserved by AWS"),
            (
                of("a b", "String", "x"),
                "attribute a b: the name \"a b\" is not of 1 to 256 letters, digits, underscores, hyphens and periods",
            ),
            (
                of("a..b", "String", "x"),
                "attribute a..b: the name \"a..b\" has a period at an end, or two in a row",
            ),
            (
                large,
                "attribute doc: 1048587 bytes of body and attributes are more than SQS's 1,048,576; attribute doc is 1048 kB of it: put \
                 the data into S3 and send a reference",
            ),
        ];
        for (attributes, expected) in table {
            assert_eq!(text(check_content("{}", &attributes, None)), expected);
        }
    }

    #[test]
    fn parameters_are_refused_by_their_names() {
        let message =
            || Outgoing { deduplication_id: "d".to_owned(), group: Some("g".into()), ..Outgoing::default() };
        let ids = "is not of 1 to 128 ASCII letters, digits and punctuation marks";
        let long = "x".repeat(129);
        let table = [
            (
                Outgoing { group: None, ..message() },
                true,
                "group: a FIFO queue needs one: jobs of one group are done one after the other".to_owned(),
            ),
            (Outgoing { group: Some("a b".into()), ..message() }, false, format!("group: \"a b\" {ids}")),
            (Outgoing { group: Some("".into()), ..message() }, false, format!("group: \"\" {ids}")),
            (
                Outgoing { deduplication_id: long.clone(), ..message() },
                true,
                format!("deduplication id: \"{long}\" {ids}"),
            ),
            (
                Outgoing { delay_secs: Some(1), ..message() },
                true,
                "delay: single messages of a FIFO queue have none: set DelaySeconds of the queue".to_owned(),
            ),
            (
                Outgoing { delay_secs: Some(901), ..message() },
                false,
                "delay: 901 seconds are more than SQS's 900".to_owned(),
            ),
            (
                Outgoing { trace_header: Some(String::new()), ..message() },
                false,
                "trace header: is empty, or has characters that SQS does not take".to_owned(),
            ),
        ];
        for (message, is_fifo, expected) in table {
            assert_eq!(text(check_parameters(&message, is_fifo)), expected);
        }
        for is_fifo in [true, false] {
            assert_eq!(check_parameters(&Outgoing { delay_secs: Some(0), ..message() }, is_fifo), Ok(()));
        }
        assert_eq!(check_parameters(&Outgoing { delay_secs: Some(900), ..message() }, false), Ok(()));
    }
}
