//! Typical mistakes: what the compiler says of each names the mistake and what to write instead.

#[test]
fn the_compiler_explains_typical_mistakes() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
