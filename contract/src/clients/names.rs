//! Names of types in the generated files.

use std::collections::BTreeSet;

/// A set of names in which each name is used once.
pub(super) struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    /// Creates the set with names that are already taken.
    pub(super) fn new(taken: BTreeSet<String>) -> Self {
        Self { taken }
    }

    /// Returns this name, with a number appended if it is taken.
    pub(super) fn take(&mut self, name: &str) -> String {
        let numbered = (2_u32..).map(|number| format!("{name}{number}"));
        let mut all = std::iter::once(name.to_owned()).chain(numbered);
        let free = all.find(|name| !self.taken.contains(name)).expect("numbers do not end");
        self.taken.insert(free.clone());
        free
    }
}

/// Returns a name such as `ImageProcess` for `image.process`.
pub(super) fn pascal(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name: String =
        words.flat_map(|word| [word[..1].to_ascii_uppercase(), word[1..].to_owned()]).collect();
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name } else { format!("Type{name}") }
}

/// Returns true if a text is an identifier in both languages; some identifiers are keywords.
pub(super) fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_letters_and_given_once() {
        for (text, name) in [
            ("image.process", "ImageProcess"),
            ("s3.event", "S3Event"),
            ("deliveryId", "DeliveryId"),
            ("3d-render", "Type3dRender"),
            ("заказ", "Type"),
            ("", "Type"),
        ] {
            assert_eq!(pascal(text), name);
        }
        let mut names = Names::new(BTreeSet::from(["Entry".to_owned()]));
        assert_eq!(
            [names.take("Entry"), names.take("Entry"), names.take("Mail")],
            ["Entry2", "Entry3", "Mail"]
        );
    }
}
