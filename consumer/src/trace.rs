//! Trace context, from a message to whatever is called for it.

use drumline::Message;

/// The W3C `traceparent` of a message: its own attribute, else its X-Ray header in that notation, else a new one. See
/// [Trace Context](https://www.w3.org/TR/trace-context/#traceparent-header).
pub(crate) fn traceparent(message: &Message) -> String {
    let own = message.attribute("traceparent").filter(|text| is_traceparent(text)).map(str::to_owned);
    let from_xray = || message.trace_header.as_deref().and_then(from_xray);
    own.or_else(from_xray).unwrap_or_else(fresh)
}

fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == 4 && parts.iter().zip([2, 32, 16, 2]).all(|(part, digits)| is_hex(part, digits))
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`, without a parent where there is none.
fn from_xray(header: &str) -> Option<String> {
    let field =
        |name: &str| header.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
    let trace_id = field("Root")?.strip_prefix("1-")?.replace('-', "");
    let parent = field("Parent").filter(|id| is_hex(id, 16)).map_or_else(span_id, str::to_owned);
    let sampled = if field("Sampled") == Some("1") { "01" } else { "00" };
    is_hex(&trace_id, 32).then(|| format!("00-{trace_id}-{parent}-{sampled}"))
}

fn fresh() -> String {
    format!("00-{:032x}-{}-00", fastrand::u128(1..), span_id())
}

fn span_id() -> String {
    format!("{:016x}", fastrand::u64(1..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use drumline::Attribute;

    #[test]
    fn a_trace_goes_on_in_either_notation() {
        let w3c = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let attribute = |text: &str| {
            let attributes = [("traceparent".to_owned(), Attribute::Text(text.to_owned()))].into();
            Message { attributes, ..Message::default() }
        };
        assert_eq!(traceparent(&attribute(w3c)), w3c);
        assert!(is_traceparent(&traceparent(&attribute("garbage"))));
        let xray = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        let message = Message { trace_header: Some(xray.to_owned()), ..Message::default() };
        assert_eq!(traceparent(&message), "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01");
        assert!(is_traceparent(&traceparent(&Message::default())));
    }
}
