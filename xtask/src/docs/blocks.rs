//! The JSON of the pages: it can be copied, so it must be valid.

use super::page::Page;

/// Returns a line for each JSON block that is not valid JSON.
pub(super) fn invalid(pages: &[Page]) -> Vec<String> {
    let books = pages.iter().filter(|page| page.path.extension().is_some_and(|it| it == "md"));
    books
        .flat_map(|page| {
            json(&page.text).filter_map(|(line, block)| {
                let error = serde_json::from_str::<serde_json::Value>(&block).err()?;
                Some(format!("{}:{line}: invalid JSON: {error}", page.path.display()))
            })
        })
        .collect()
}

/// Returns the JSON blocks with the numbers of their first lines.
fn json(text: &str) -> impl Iterator<Item = (usize, String)> {
    let starts = text.lines().enumerate().filter(|(_, line)| line.trim() == "```json");
    starts.map(|(start, _)| {
        let lines = text.lines().skip(start + 1).take_while(|line| line.trim() != "```");
        (start + 2, lines.collect::<Vec<_>>().join("\n"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_json_is_found_with_its_line() {
        let text = "Text\n\n```json\n{\"a\": 1}\n```\n\n```json\n{\"a\": 1,\n}\n```\n\n```sh\n{\n```\n";
        let page = Page { path: "docs/a.md".into(), text: text.to_owned() };
        let found = invalid(&[page]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("docs/a.md:8: invalid JSON: "), "{found:?}");
    }
}
