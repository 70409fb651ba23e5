//! The trace of a message.

use std::collections::BTreeMap;

use crate::message::sqs_message::{Attribute, Message, text_of};

/// A trace context, as the W3C header `traceparent` has it. See
/// [Trace Context](https://www.w3.org/TR/trace-context/#traceparent-header).
///
/// ```
/// use drumline::message::Traceparent;
/// let trace = Traceparent::parse("00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01").expect("a traceparent");
/// let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
/// assert_eq!(trace.to_xray(), header);
/// assert_eq!(Traceparent::from_xray(header), Some(trace));
/// assert_eq!(Traceparent::parse("00-1-2-01"), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traceparent(String);

impl Traceparent {
    /// Reads a `traceparent`. Returns `None` if the text is not one.
    pub fn parse(text: &str) -> Option<Self> {
        is_traceparent(text).then(|| Self(text.to_owned()))
    }

    /// Reads an X-Ray header: `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`. Returns `None` if it has
    /// no trace id.
    pub fn from_xray(header: &str) -> Option<Self> {
        from_xray(header).map(Self)
    }

    /// Returns the trace context of a span with these ids.
    ///
    /// ```
    /// use drumline::message::Traceparent;
    /// let trace = Traceparent::new(0x5759_e988_bd86_2e3f_e1be_46a9_9427_2793, 0x5399_5c3f_42cd_8ad8, true);
    /// assert_eq!(trace.as_str(), "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01");
    /// assert_eq!((trace.trace_id(), trace.is_sampled()), (0x5759_e988_bd86_2e3f_e1be_46a9_9427_2793, true));
    /// assert_eq!(trace.span_id(), 0x5399_5c3f_42cd_8ad8);
    /// ```
    pub fn new(trace_id: u128, span_id: u64, is_sampled: bool) -> Self {
        Self(format!("00-{trace_id:032x}-{span_id:016x}-{:02x}", u8::from(is_sampled)))
    }

    /// Returns the text of the header.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the id of the trace.
    pub fn trace_id(&self) -> u128 {
        // The lengths of the parts are checked: 2, 32, 16 and 2 digits.
        u128::from_str_radix(&self.0[3..35], 16).unwrap_or_default()
    }

    /// Returns the id of the span.
    pub fn span_id(&self) -> u64 {
        u64::from_str_radix(&self.0[36..52], 16).unwrap_or_default()
    }

    /// Returns true if the span is recorded.
    pub fn is_sampled(&self) -> bool {
        u8::from_str_radix(&self.0[53..], 16).is_ok_and(|flags| flags & 1 == 1)
    }

    /// Returns the same trace context as an X-Ray header.
    pub fn to_xray(&self) -> String {
        let (trace_id, parent) = (&self.0[3..35], &self.0[36..52]);
        format!(
            "Root=1-{}-{};Parent={parent};Sampled={}",
            &trace_id[..8],
            &trace_id[8..],
            u8::from(self.is_sampled())
        )
    }
}

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
    w3c(message, inside).map(str::to_owned).or_else(|| message.trace_header.as_deref().and_then(from_xray))
}

/// The attribute `traceparent` of a message, or of its envelope, if it is one.
fn w3c<'a>(message: &'a Message, inside: &'a BTreeMap<String, Attribute>) -> Option<&'a str> {
    let texts = [message.attribute("traceparent"), text_of(inside, "traceparent")];
    texts.into_iter().flatten().find(|text| is_traceparent(text))
}

/// The attribute `tracestate` that came with the `traceparent`. The X-Ray header has none.
pub(crate) fn tracestate<'a>(
    message: &'a Message,
    inside: &'a BTreeMap<String, Attribute>,
) -> Option<&'a str> {
    w3c(message, inside)?;
    let state = message.attribute("tracestate").or_else(|| text_of(inside, "tracestate"));
    state.filter(|state| !state.trim().is_empty())
}

/// Ids whose digits are all 0 are invalid, and so is the version `ff`.
fn is_traceparent(text: &str) -> bool {
    let mut parts = text.split('-');
    let (Some(version), Some(trace_id), Some(parent), Some(flags), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let is_id = |part: &str, digits| is_hex(part, digits) && part.bytes().any(|byte| byte != b'0');
    is_hex(version, 2) && version != "ff" && is_id(trace_id, 32) && is_id(parent, 16) && is_hex(flags, 2)
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
    // For a root without a parent an id is still needed, and the root's own random part is used.
    let parent = field("Parent").filter(|id| is_hex(id, 16)).unwrap_or(&trace_id[16..]);
    let sampled = if field("Sampled") == Some("1") { "01" } else { "00" };
    Some(format!("00-{trace_id}-{parent}-{sampled}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn both_notations_hold_the_same_trace() {
        for flags in ["00", "01", "03", "ff"] {
            let text = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
            let trace = Traceparent::parse(&text).unwrap();
            let sampled = if flags == "00" { "00" } else { "01" };
            let again = Traceparent::from_xray(&trace.to_xray()).unwrap();
            assert_eq!(again.as_str(), format!("{}{sampled}", &text[..53]));
        }
        for text in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-é-b7ad6b7169203331-01",
        ] {
            assert_eq!(Traceparent::parse(text), None, "{text}");
        }
    }

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
