//! Typical mistakes: the compiler's message for each names the mistake and the correction.

#[test]
fn the_compiler_explains_typical_mistakes() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
