//! The Rust code of the book's pages, compiled as documentation tests.

macro_rules! pages {
    ($($name:ident: $file:literal,)*) => {
        $(
            #[cfg(doctest)]
            #[doc = include_str!(concat!("../../docs/", $file))]
            mod $name {}
        )*

        #[cfg(test)]
        const PAGES: &[&str] = &[$($file),*];
    };
}

pages! {
    batch_handlers: "batch-handlers.md",
    contracts: "contracts.md",
    dead_job_hook: "dead-job-hook.md",
    flow: "flow.md",
    lambda: "lambda.md",
    library: "library.md",
    next_steps: "next-steps.md",
    outbox: "outbox.md",
    producing: "producing.md",
    settings: "settings.md",
    sizing: "sizing.md",
    stores: "stores.md",
    timetable: "timetable.md",
    tracing: "tracing.md",
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compiled and run as a test of the crate that it is about.
    const TESTED_ELSEWHERE: &str = "testing.md";

    fn folder() -> std::path::PathBuf {
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    #[test]
    fn every_page_with_rust_code_is_compiled() {
        let mut with_code: Vec<String> = std::fs::read_dir(folder().join("docs"))
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "md"))
            .filter(|entry| std::fs::read_to_string(entry.path()).unwrap().contains("```rust"))
            .map(|entry| entry.file_name().into_string().unwrap())
            .filter(|name| name != TESTED_ELSEWHERE)
            .collect();
        with_code.sort();
        assert_eq!(with_code, PAGES);
    }

    /// Returns the first Rust block of a page, as the book shows it.
    fn first_block(page: &str) -> Vec<String> {
        let text = std::fs::read_to_string(folder().join(page)).unwrap();
        let lines = text.lines().skip_while(|line| !line.starts_with("```rust")).skip(1);
        let block = lines.take_while(|line| !line.starts_with("```"));
        block.filter(|line| !line.starts_with("# ")).map(str::to_owned).collect()
    }

    #[test]
    fn the_readme_shows_the_first_program_of_the_library_page() {
        assert_eq!(first_block("README.md"), first_block("docs/library.md"));
    }
}
