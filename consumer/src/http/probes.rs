//! The parts that `/livez` and `/readyz` have in all processes.

/// `/livez`.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// Returns true if a query asks for more than the state, by `verbose` with or without a value.
pub(super) fn is_verbose(query: &str) -> bool {
    query.split('&').any(|part| part.split('=').next() == Some("verbose"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_asks_for_more_by_verbose() {
        for (query, expected) in
            [("", false), ("verbose", true), ("verbose=1", true), ("a=b&verbose", true), ("verbosely", false)]
        {
            assert_eq!(is_verbose(query), expected, "{query}");
        }
    }
}
