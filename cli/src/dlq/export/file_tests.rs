#![allow(clippy::unwrap_used)]
use drumline::message::{Intake, Message};
use drumline_dlq::Letter;
use drumline_dlq::line::{FORMAT_VERSION, Line};

use super::*;

fn header() -> Header {
    Header {
        drumline_dead_letters: FORMAT_VERSION,
        name: "INC-42".into(),
        dlq: "jobs-dlq".into(),
        dlq_arn: None,
        exported_at: "2026-11-29T03:04:05Z".into(),
        program: "drumline 1.0.0".into(),
    }
}

fn append(file: &mut ExportFile, id: &str) {
    let message = Message { id: id.into(), body: "b\u{1b}".into(), ..Message::default() };
    file.append(&Line::of(&Letter::new(message, &Intake::default()), None::<()>)).unwrap();
}

#[test]
fn a_torn_export_is_continued_behind_its_last_whole_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let mut file = ExportFile::create(&path, &header()).unwrap();
    append(&mut file, "m-1");
    file.commit().unwrap();
    let whole = file.length();
    append(&mut file, "m-2");
    file.commit().unwrap();
    let length = file.length();
    drop(file);
    for torn in [1, (length - whole) / 2, length - whole - 1] {
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(length - torn).unwrap();
        let Resumed { file: mut resumed, header: found, letters } = ExportFile::resume(&path).unwrap();
        assert_eq!(
            (found, letters),
            (header(), HashSet::from([LetterId::of("m-1")])),
            "{torn} bytes are missing"
        );
        append(&mut resumed, "m-2");
        resumed.commit().unwrap();
        assert_eq!(resumed.length(), length);
        drop(resumed);
        let (_, lines) = Lines::open(BufReader::new(File::open(&path).unwrap())).unwrap();
        let ids: Vec<String> = lines.map(|line| line.unwrap().message.id.to_string()).collect();
        assert_eq!(ids, ["m-1", "m-2"]);
    }
}

#[test]
fn only_the_owner_reads_an_export_and_none_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let mut file = ExportFile::create(&path, &header()).unwrap();
    file.commit().unwrap();
    assert!(ExportFile::create(&path, &header()).is_err());
    assert!(ExportFile::resume(&path).is_err(), "another process writes it");
    drop(file);
    assert!(ExportFile::resume(&path).is_ok());
    assert!(ExportFile::resume(&folder.path().join("b.jsonl")).is_err());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[cfg(unix)]
#[test]
fn no_letter_is_deleted_by_an_export_to_a_device() {
    let refused = ExportFile::create_for_deletion(Path::new("/dev/null"), &header());
    assert!(refused.is_err_and(|error| error.to_string().contains("/dev/null is none")));
    assert!(ExportFile::create(Path::new("/dev/null"), &header()).is_ok());
    let folder = tempfile::tempdir().unwrap();
    assert!(ExportFile::create_for_deletion(&folder.path().join("a.jsonl"), &header()).is_ok());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_leaves_whole_lines() {
    assert!(ExportFile::create(Path::new("/dev/full"), &header()).is_err());
    let file = File::options().write(true).open("/dev/full").unwrap();
    let mut file = ExportFile {
        path: "/dev/full".into(),
        file,
        _lock: None,
        length: 0,
        lines: Vec::new(),
        is_regular: false,
    };
    append(&mut file, "m-1");
    assert!(file.commit().is_err());
    assert_eq!((file.pending(), file.length()), (0, 0));
}

#[test]
fn an_export_can_be_resumed_from_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    drop(ExportFile::create(&path, &header()).unwrap());
    let Resumed { header: found, letters, .. } = ExportFile::resume(&path).unwrap();
    assert_eq!((found, letters.len()), (header(), 0));
    for length in [10, 0] {
        File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
        let Err(torn) = ExportFile::resume(&path) else { panic!("{length} bytes of it are a header") };
        assert!(torn.to_string().contains("remove it, and begin the export anew"), "{torn}");
    }
}
