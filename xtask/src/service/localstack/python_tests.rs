#![allow(clippy::unwrap_used)]

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// Creates a fake Python that always succeeds or always fails. It is a link, because a file that was just written cannot be run
/// while another test's child process still holds it open.
fn fake_python(folder: &Path, stand_in: &str) -> PathBuf {
    fs::create_dir_all(folder).unwrap();
    let path = folder.join(PROGRAM);
    symlink(Path::new("/bin").join(stand_in), &path).unwrap();
    path
}

fn first_that_works(path: &[&Path], pyenv: &Path) -> Option<PathBuf> {
    let path = env::join_paths(path).unwrap();
    candidates(&path, Some(pyenv)).into_iter().find(|python| works(python))
}

#[test]
fn the_search_path_comes_before_pyenv() {
    let home = TempDir::new().unwrap();
    let on_path = fake_python(&home.path().join("bin"), "true");
    fake_python(&home.path().join("pyenv/versions/3.13.0/bin"), "true");
    let found = first_that_works(&[&home.path().join("bin")], &home.path().join("pyenv"));
    assert_eq!(found, Some(on_path));
}

#[test]
fn a_shim_that_refuses_is_passed_over() {
    let home = TempDir::new().unwrap();
    fake_python(&home.path().join("shims"), "false");
    let real = fake_python(&home.path().join("pyenv/versions/3.13.0/bin"), "true");
    let found = first_that_works(&[&home.path().join("shims")], &home.path().join("pyenv"));
    assert_eq!(found, Some(real));
}

#[test]
fn other_versions_and_missing_folders_are_no_candidates() {
    let home = TempDir::new().unwrap();
    fake_python(&home.path().join("pyenv/versions/3.12.1/bin"), "true");
    fs::create_dir_all(home.path().join("pyenv/versions/3.13.2")).unwrap();
    let nowhere = home.path().join("nowhere");
    assert_eq!(first_that_works(&[&nowhere], &home.path().join("pyenv")), None);
    assert_eq!(candidates(OsStr::new(""), None), Vec::<PathBuf>::new());
}

#[test]
fn settings_are_the_lines_that_are_not_comments() {
    let text = "# SERVICES=none\nSERVICES=sqs,s3\n\nOPTIONS=a=b\n";
    assert_eq!(parse_settings(text).collect::<Vec<_>>(), [("SERVICES", "sqs,s3"), ("OPTIONS", "a=b")]);
}

/// Returns a variable of the command that runs `LocalStack`.
fn variable(name: &str) -> Option<String> {
    let command = run(Path::new("python"), Path::new("files"), 4570).unwrap();
    let found = command.get_envs().find(|(known, _)| *known == name);
    found.and_then(|(_, value)| value).and_then(OsStr::to_str).map(str::to_owned)
}

#[test]
fn it_listens_on_loopback_and_leaves_dynamodb_out() {
    assert_eq!(variable("GATEWAY_LISTEN").as_deref(), Some("[::ffff:127.0.0.1]:4570"));
    let services = variable("SERVICES").unwrap();
    assert!(["sqs", "lambda"].iter().all(|wanted| services.split(',').any(|service| service == *wanted)));
    assert!(!services.contains("dynamodb"));
}

#[test]
fn functions_are_run_by_the_executor_beside_its_entry_point() {
    let path = PathBuf::from(variable("PYTHONPATH").unwrap());
    let name = variable("LAMBDA_RUNTIME_EXECUTOR").unwrap();
    let text = fs::read_to_string(path.join("drumline_executor-1.dist-info/entry_points.txt")).unwrap();
    let target = text.lines().find_map(|line| line.strip_prefix(&format!("{name} = "))).unwrap();
    let (module, _class) = target.split_once(':').unwrap();
    assert!(path.join(module.replace('.', "/")).with_extension("py").is_file(), "{target}");
}
