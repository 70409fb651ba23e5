//! The run-time part of a client file, and the places for the generated parts.

use std::collections::BTreeSet;

/// A source file with replaceable sections.
pub(super) struct Template {
    text: String,
}

impl Template {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned() }
    }

    /// Returns the words of the file outside of a section: generated types must not have these names.
    pub(super) fn words_without(&self, section: &str) -> BTreeSet<String> {
        let (before, after) = self.around(section);
        let words = before.split(not_in_a_name).chain(after.split(not_in_a_name));
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    /// Replaces the text between the marks of a section.
    pub(super) fn section(&mut self, section: &str, with: &str) {
        let (before, after) = self.around(section);
        self.text = format!("{before}{}\n{after}", with.trim_end());
    }

    /// Replaces a line that consists of `mark`, indented or not. Each line of the text gets the same indentation.
    pub(super) fn line(&mut self, mark: &str, with: &str) {
        let mut lines = Vec::new();
        for line in self.text.lines() {
            match line.strip_suffix(mark) {
                Some(indentation) if !indentation.contains(char::is_alphanumeric) => {
                    lines.extend(
                        with.lines().map(|with| format!("{indentation}{with}").trim_end().to_owned()),
                    );
                }
                _ => lines.push(line.to_owned()),
            }
        }
        self.text = lines.join("\n") + "\n";
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    /// Returns the text up to the end of the first mark's line, and the text from the beginning of the second mark's line.
    fn around(&self, section: &str) -> (&str, &str) {
        let line_with = |mark: &str| {
            let at = self.text.find(mark).expect("a template has its marks");
            self.text[..at].rfind('\n').map_or(0, |end| end + 1)
        };
        let begin = line_with(&format!("{section}: begin"));
        let length = self.text[begin..].find('\n').expect("a mark is not the last line") + 1;
        let end = line_with(&format!("{section}: end"));
        (&self.text[..begin + length], &self.text[end..])
    }
}

fn not_in_a_name(c: char) -> bool {
    !(c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_lines_are_replaced_and_the_rest_is_kept() {
        let mut template = Template::new(" * HEAD\nHEAD too\n# a: begin\nold = Old\n# a: end\nnew = New\n");
        assert!(template.words_without("a").contains("New"));
        assert!(!template.words_without("a").contains("Old"));
        template.section("a", "x\ny\n\n");
        template.line("HEAD", "one\n\ntwo");
        assert_eq!(
            template.finish(),
            " * one\n *\n * two\nHEAD too\n# a: begin\nx\ny\n# a: end\nnew = New\n"
        );
    }
}
