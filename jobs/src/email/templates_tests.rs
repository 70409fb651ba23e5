#![allow(clippy::unwrap_used)]
use std::fs;

use minijinja::context;

use super::*;

/// Creates a folder of templates beside a file that contains a secret.
fn folder() -> (tempfile::TempDir, Folder) {
    let dir = tempfile::tempdir().unwrap();
    let templates = dir.path().join("templates");
    fs::create_dir_all(templates.join("below")).unwrap();
    fs::write(dir.path().join("secret.txt"), "a secret").unwrap();
    fs::write(templates.join("below/secret.txt"), "a secret").unwrap();
    fs::write(templates.join(".secret.txt"), "a secret").unwrap();
    fs::write(templates.join("part.txt"), "a part").unwrap();
    let folder = Folder::new(templates);
    (dir, folder)
}

fn render(folder: &Folder, text: &str) -> Result<String, Error> {
    fs::write(folder.path().join("mail.txt"), text).unwrap();
    folder.templates().get_template("mail.txt")?.render(context! { user => "Ada" })
}

#[test]
fn templates_reach_the_files_of_their_folder_only() {
    let (dir, folder) = folder();
    assert_eq!(render(&folder, "{% include 'part.txt' %}").unwrap(), "a part");
    let absolute = dir.path().join("secret.txt");
    let absolute = absolute.to_str().unwrap();
    for name in
        ["../secret.txt", "below/secret.txt", ".secret.txt", "/etc/hostname", absolute, "below", "", "."]
    {
        for text in [
            format!("{{% include '{name}' %}}"),
            format!("{{% extends '{name}' %}}"),
            format!("{{% import '{name}' as other %}}{{{{ other }}}}"),
        ] {
            let error = render(&folder, &text).expect_err(&text);
            assert!(!format!("{error:#?}").contains("a secret"), "{text}: {error:#?}");
        }
    }
}

#[cfg(unix)]
#[test]
fn links_are_followed_within_the_folder_only() {
    use std::os::unix::fs::symlink;
    let (_dir, folder) = folder();
    symlink("../secret.txt", folder.path().join("out.txt")).unwrap();
    symlink("below/secret.txt", folder.path().join("in.txt")).unwrap();
    assert!(render(&folder, "{% include 'out.txt' %}").is_err());
    assert!(folder.users("out.txt").is_err());
    assert_eq!(render(&folder, "{% include 'in.txt' %}").unwrap(), "a secret");
}

#[test]
fn a_rendering_is_bounded() {
    let (_dir, folder) = folder();
    let loop_in_loop = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
    for text in [
        "{% include 'mail.txt' %}",
        "{% extends 'mail.txt' %}",
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
        loop_in_loop,
        "{{ debug() }}",
    ] {
        assert!(render(&folder, text).is_err(), "{text}");
    }
    fs::write(folder.path().join("long.txt"), "x".repeat(1024 * 1024 + 1)).unwrap();
    assert!(render(&folder, "{% include 'long.txt' %}").is_err());
    fs::write(folder.path().join("long.txt"), "x".repeat(1024 * 1024)).unwrap();
    assert_eq!(render(&folder, "{% include 'long.txt' %}").unwrap().len(), 1024 * 1024);
}

#[test]
fn a_failure_shows_no_value() {
    let (_dir, folder) = folder();
    let error = render(&folder, "{% set card = 'visa 4242' %}{{ user.shoe_size.x }}").unwrap_err();
    assert!(!format!("{error:#}").contains("4242"), "{error:#}");
}

#[test]
fn the_list_of_users_is_bounded() {
    let (_dir, folder) = folder();
    let file = fs::File::create(folder.path().join("users.json")).unwrap();
    file.set_len(MAX_USERS_BYTES).unwrap();
    assert!(folder.users("users.json").is_ok());
    file.set_len(MAX_USERS_BYTES + 1).unwrap();
    assert!(folder.users("users.json").unwrap_err().to_string().contains("more than"));
    assert!(folder.users("below").unwrap_err().to_string().contains("not a file"));
}
