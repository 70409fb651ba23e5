//! The trace that a message belongs to.

use std::collections::BTreeMap;

use crate::message::sqs_message::{Attribute, Message, text_of};

impl Message {
    /// The W3C `traceparent` of the message: its own attribute, else its X-Ray header in that notation. See
    /// [Trace Context](https://www.w3.org/TR/trace-context/#traceparent-header).
    ///
    /// ```
    /// use drumline::message::Message;
    /// let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    /// let message = Message { trace_header: Some(header.into()), ..Message::default() };
    /// let traceparent = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
    /// assert_eq!(message.traceparent().as_deref(), Some(traceparent));
    /// ```
    pub fn traceparent(&self) -> Option<String> {
        traceparent(self, &BTreeMap::new())
    }
}

/// The `traceparent` of a message, whose envelope has these attributes: the message's own attribute, the envelope's, or the
/// X-Ray header.
pub(crate) fn traceparent(message: &Message, inside: &BTreeMap<String, Attribute>) -> Option<String> {
    let texts = [message.attribute("traceparent"), text_of(inside, "traceparent")];
    let own = texts.into_iter().flatten().find(|text| is_traceparent(text)).map(str::to_owned);
    own.or_else(|| message.trace_header.as_deref().and_then(from_xray))
}

fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == 4 && parts.iter().zip([2, 32, 16, 2]).all(|(part, digits)| is_hex(part, digits))
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`
fn from_xray(header: &str) -> Option<String> {
    let field =
        |name: &str| header.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
    let trace_id = field("Root")?.strip_prefix("1-")?.replace('-', "");
    if !is_hex(&trace_id, 32) {
        return None;
    }
    // A root without a parent: an id is needed all the same, and the root's own random part is one.
    let parent = field("Parent").filter(|id| is_hex(id, 16)).unwrap_or(&trace_id[16..]);
    let sampled = if field("Sampled") == Some("1") { "01" } else { "00" };
    Some(format!("00-{trace_id}-{parent}-{sampled}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_goes_on_in_either_notation() {
        let w3c = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let attribute = |text: &str| {
            let attributes = [("traceparent".to_owned(), Attribute::text(text))].into();
            Message { attributes, ..Message::default() }
        };
        assert_eq!(attribute(w3c).traceparent().as_deref(), Some(w3c));
        let xray = |header: &str| {
            Message { trace_header: Some(header.to_owned()), ..attribute("garbage") }.traceparent()
        };
        let table = [
            (
                "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
                Some("00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"),
            ),
            (
                "Sampled=0; Root=1-5759e988-bd862e3fe1be46a994272793",
                Some("00-5759e988bd862e3fe1be46a994272793-e1be46a994272793-00"),
            ),
            ("Root=1-short", None),
            ("", None),
        ];
        for (header, expected) in table {
            assert_eq!(xray(header).as_deref(), expected, "{header}");
        }
    }
}
