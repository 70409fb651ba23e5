#![allow(clippy::unwrap_used)]
use super::*;
use drumline::run::FailureKind;
use std::fs;

/// Creates a root beside a folder that jobs must not reach.
fn rooms() -> (tempfile::TempDir, FileRoot) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("root")).unwrap();
    fs::write(dir.path().join("secret"), "secret").unwrap();
    let root = FileRoot::new(dir.path().join("root"));
    (dir, root)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_written_is_read_and_replaced() {
    let (dir, root) = rooms();
    let path = dir.path().join("root/deep/er/a.bin");
    root.write(&path, b"first").unwrap();
    root.write(&path, b"second").unwrap();
    assert_eq!(root.read(&path, 6).unwrap(), b"second");
    assert_eq!(names(path.parent().unwrap()), ["a.bin"]);
    root.write(&dir.path().join("root/b.bin"), b"top").unwrap();
    assert_eq!(fs::read(dir.path().join("root/b.bin")).unwrap(), b"top");
}

#[test]
fn a_failed_write_leaves_no_trace() {
    let (dir, root) = rooms();
    let taken = dir.path().join("root/taken");
    fs::create_dir(&taken).unwrap();
    assert_eq!(root.write(&taken, b"x").unwrap_err().kind(), FailureKind::Reject);
    assert_eq!(names(&dir.path().join("root")), ["taken"]);
    assert_eq!(names(&taken), Vec::<String>::new());
}

#[test]
fn what_is_too_large_or_no_file_is_rejected() {
    let (dir, root) = rooms();
    let path = dir.path().join("root/a.bin");
    fs::write(&path, "1234567").unwrap();
    assert_eq!(root.read(&path, 7).unwrap().len(), 7);
    for (path, part) in [
        (&path, "larger than 6 bytes"),
        (&dir.path().join("root"), "is not a file"),
        (&dir.path().join("root/none"), "No such file"),
        (&path.join("below"), "Not a directory"),
    ] {
        let failure = root.read(path, 6).unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Reject, "{failure:?}");
        assert!(failure.reason().contains(part), "{failure:?}");
    }
}

#[test]
fn nothing_outside_is_reached() {
    let (dir, root) = rooms();
    for path in [dir.path().join("secret"), dir.path().join("root/../secret"), "/etc/hostname".into()] {
        for failure in [root.read(&path, 100).unwrap_err(), root.write(&path, b"x").unwrap_err()] {
            assert_eq!(failure.kind(), FailureKind::Reject, "{failure:?}");
            assert!(failure.reason().contains("is not below"), "{failure:?}");
        }
    }
    assert_eq!(fs::read_to_string(dir.path().join("secret")).unwrap(), "secret");
}

#[cfg(unix)]
#[test]
fn links_do_not_lead_outside() {
    use std::os::unix::fs::symlink;
    let (dir, root) = rooms();
    let inside = dir.path().join("root");
    symlink("../secret", inside.join("file")).unwrap();
    symlink(dir.path(), inside.join("absolute")).unwrap();
    symlink("..", inside.join("up")).unwrap();
    for path in ["file", "absolute/secret", "up/secret"] {
        let failure = root.read(&inside.join(path), 100).unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Reject, "{failure:?}");
        assert!(failure.reason().contains("is not below"), "{failure:?}");
    }
    for path in ["absolute/new", "up/new", "up/deep/new"] {
        assert_eq!(root.write(&inside.join(path), b"x").unwrap_err().kind(), FailureKind::Reject, "{path}");
    }
    // Writing to a link replaces the link, never its target.
    root.write(&inside.join("file"), b"mine").unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("secret")).unwrap(), "secret");
    assert_eq!(names(dir.path()), ["root", "secret"]);
}

#[cfg(unix)]
#[test]
fn links_within_the_root_are_followed() {
    use std::os::unix::fs::symlink;
    let (dir, root) = rooms();
    let inside = dir.path().join("root");
    fs::write(inside.join("a.bin"), "a").unwrap();
    symlink("a.bin", inside.join("link")).unwrap();
    assert_eq!(root.read(&inside.join("link"), 9).unwrap(), b"a");
}

#[cfg(unix)]
#[test]
fn the_root_may_be_named_through_a_link() {
    let (dir, _) = rooms();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink("root", &link).unwrap();
    let root = FileRoot::new(link.clone());
    root.write(&link.join("a"), b"a").unwrap();
    assert_eq!(root.read(&dir.path().canonicalize().unwrap().join("root/a"), 9).unwrap(), b"a");
}

#[test]
fn a_missing_root_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let root = FileRoot::new(dir.path().join("not-mounted"));
    let path = dir.path().join("not-mounted/a");
    for failure in [root.read(&path, 9).unwrap_err(), root.write(&path, b"x").unwrap_err()] {
        assert_eq!(failure.kind(), FailureKind::Retry, "{failure:?}");
        assert!(failure.reason().contains("make the folder or mount it"), "{failure:?}");
    }
    assert!(!dir.path().join("not-mounted").exists());
}

#[test]
fn errors_are_distinguished() {
    for (error, wish) in [
        (io::Error::from(ErrorKind::NotFound), FailureKind::Reject),
        (io::Error::from(ErrorKind::IsADirectory), FailureKind::Reject),
        (io::Error::from(ErrorKind::InvalidFilename), FailureKind::Reject),
        (io::Error::from(ErrorKind::StorageFull), FailureKind::Retry),
        (io::Error::from(ErrorKind::TimedOut), FailureKind::Retry),
        (io::Error::from(ErrorKind::ReadOnlyFilesystem), FailureKind::Retry),
        (io::Error::from_raw_os_error(13), FailureKind::Retry),
        (
            io::Error::new(ErrorKind::PermissionDenied, "a path led outside of the filesystem"),
            FailureKind::Reject,
        ),
    ] {
        assert_eq!(failure("read", Path::new("a"), &error).kind(), wish, "{error}");
    }
}
