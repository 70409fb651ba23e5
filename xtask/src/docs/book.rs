//! The book: mdBook's pages of `docs/`, with links to the rest of the repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use xtask::project;

/// The version of mdBook that CI installs.
const MDBOOK: &str = "0.5.4";

/// The URL of files that are not in the book.
const REPOSITORY: &str = "https://github.com/drumline/drumline/blob/main/";

/// Builds the book into `target/book`.
pub(super) fn build() -> Result<()> {
    let installed = project::target().join("mdbook/bin/mdbook");
    let program = if installed.exists() { installed } else { "mdbook".into() };
    let built = Command::new(&program).args(["build", "docs"]).current_dir(project::root()).status();
    let status = built.with_context(|| {
        format!(
            "mdBook is missing: cargo install mdbook@{MDBOOK} --locked --root target/mdbook, or leave the book out by --no-book"
        )
    })?;
    ensure!(status.success(), "mdBook failed with {status}");
    let book = project::target().join("book");
    let pages = lead_outside(&book, "../")? + lead_outside(&book.join("adr"), "../../")?;
    println!("    {pages} pages: {}", book.join("index.html").display());
    Ok(())
}

/// Redirects links that leave the book to the repository, in a folder's pages. `out` is the path from the folder to the
/// repository's root. Returns the number of pages.
fn lead_outside(folder: &Path, out: &str) -> Result<usize> {
    let mut pages = 0;
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "html") {
            let text = fs::read_to_string(&path)?;
            fs::write(&path, with_links(&text, out, |file| project::root().join(file).exists()))?;
            pages += 1;
        }
    }
    Ok(pages)
}

/// Redirects the links of a page. mdBook has replaced each `.md` by `.html`, even for files outside of the book.
fn with_links(page: &str, out: &str, exists: impl Fn(&Path) -> bool) -> String {
    let mark = format!("href=\"{out}");
    let mut text = String::with_capacity(page.len());
    let mut rest = page;
    while let Some((before, link)) = rest.split_once(&mark) {
        let (target, behind) = link.split_once('"').unwrap_or((link, ""));
        let (file, anchor) =
            target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
        let source = file.strip_suffix(".html").map(|name| format!("{name}.md"));
        let file = source.filter(|source| exists(&PathBuf::from(source))).unwrap_or_else(|| file.to_owned());
        text.push_str(before);
        text.extend(["href=\"", REPOSITORY, &file]);
        if let Some(anchor) = anchor {
            text.extend(["#", anchor]);
        }
        text.push('"');
        rest = behind;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_out_of_the_book_lead_to_the_repository() {
        let page = r#"<a href="stores.html">a</a> <a href="../infra/README.html#relay">b</a> <a href="../Dockerfile">c</a>"#;
        let expected = format!(
            r#"<a href="stores.html">a</a> <a href="{REPOSITORY}infra/README.md#relay">b</a> <a href="{REPOSITORY}Dockerfile">c</a>"#
        );
        assert_eq!(with_links(page, "../", |file| file == Path::new("infra/README.md")), expected);
    }
}
