#![allow(clippy::unwrap_used)]

use cargo_metadata::MetadataCommand;

use super::*;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Returns metadata of a workspace with the member `ours` and the other package `theirs`.
fn metadata(ours: &str, theirs: &str) -> Metadata {
    let package = |name: &str, more: &str| {
        format!(
            r#"{{"name":"{name}","version":"1.0.0","id":"{name}-id","features":{{}},"targets":[],
                "manifest_path":"/{name}/Cargo.toml",{more}}}"#
        )
    };
    let text = format!(
        r#"{{"packages":[{},{}],"workspace_members":["ours-id"],"workspace_default_members":["ours-id"],
            "resolve":null,"workspace_root":"/","target_directory":"/target","version":1}}"#,
        package("ours", ours),
        package("theirs", theirs),
    );
    MetadataCommand::parse(text).unwrap()
}

fn ours(requirement: &str, path: &str) -> String {
    format!(
        r#""license":"MIT","source":null,"dependencies":[{{"name":"theirs","req":"{requirement}","kind":null,
            "optional":false,"uses_default_features":true,"features":[]{path}}}]"#
    )
}

fn theirs(licence: &str, source: &str) -> String {
    format!(r#""license":{licence},"source":{source},"dependencies":[]"#)
}

#[test]
fn what_holds_to_the_rules_is_not_mentioned() {
    let metadata = metadata(&ours("^1", ""), &theirs(r#""MIT/Apache-2.0""#, &format!(r#""{CRATES_IO}""#)));
    assert_eq!(violations(&metadata), Vec::<String>::new());
}

#[test]
fn a_licence_outside_the_list_is_named() {
    let metadata = metadata(&ours("^1", ""), &theirs(r#""GPL-3.0-only""#, &format!(r#""{CRATES_IO}""#)));
    assert_eq!(violations(&metadata), ["theirs 1.0.0: is under GPL-3.0-only, which is not allowed"]);
}

#[test]
fn other_sources_are_named() {
    for source in ["null", r#""git+https://example.com/theirs""#] {
        let metadata = metadata(&ours("^1", ""), &theirs(r#""MIT""#, source));
        assert_eq!(violations(&metadata), ["theirs 1.0.0: comes from elsewhere than crates.io"], "{source}");
    }
}

#[test]
fn wildcards_are_for_the_workspace_s_own_crates() {
    let theirs = theirs(r#""MIT""#, &format!(r#""{CRATES_IO}""#));
    assert_eq!(violations(&metadata(&ours("*", ""), &theirs)), ["ours 1.0.0: takes any version of theirs"]);
    let by_path = ours("*", r#","path":"/theirs""#);
    assert_eq!(violations(&metadata(&by_path, &theirs)), Vec::<String>::new());
}

#[test]
fn a_banned_package_is_named() {
    let text = r#"{"packages":[{"name":"openssl-sys","version":"1.0.0","id":"it","features":{},"targets":[],
        "manifest_path":"/it/Cargo.toml","license":"MIT","dependencies":[],
        "source":"registry+https://github.com/rust-lang/crates.io-index"}],"workspace_members":[],
        "resolve":null,"workspace_root":"/","target_directory":"/target","version":1}"#;
    let metadata = MetadataCommand::parse(text).unwrap();
    assert_eq!(violations(&metadata), ["openssl-sys 1.0.0: is banned"]);
}

#[test]
fn expressions_are_allowed_if_a_permissive_choice_exists() {
    for allowed in [
        "MIT",
        "MIT OR GPL-3.0-only",
        "Apache-2.0 WITH LLVM-exception",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Unlicense/MIT",
    ] {
        assert_eq!(permissive(Some(allowed)), Ok(()), "{allowed}");
    }
    for refused in
        ["MIT AND GPL-3.0-only", "MPL-2.0", "Apache-2.0 WITH Classpath-exception-2.0", "LicenseRef-Own"]
    {
        assert!(permissive(Some(refused)).unwrap_err().contains("not allowed"), "{refused}");
    }
    assert!(permissive(Some("Whatever")).unwrap_err().contains("cannot be read"));
    assert_eq!(permissive(None), Err("names no licence".to_owned()));
}
