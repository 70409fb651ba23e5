//! The settings of guards.

use super::read;
use crate::{GuardAllowance, GuardMode, GuardSettings};

const QUEUE: (&str, &str) = ("DRUMLINE_QUEUE_URL", "http://localhost/1/jobs");

fn guards(environment: &[(&str, &str)], file: &str) -> Result<GuardSettings, String> {
    let all: Vec<_> = environment.iter().copied().chain([QUEUE]).collect();
    read(&[], &all, file).map(|settings| settings.guards).map_err(|problems| problems.to_string())
}

#[test]
fn guards_warn_unless_they_are_set_otherwise() {
    assert_eq!(guards(&[], "").unwrap(), GuardSettings::default());
    let table = [
        ("warn", GuardMode::Warn, vec![]),
        ("deny", GuardMode::Deny, vec![]),
        ("off", GuardMode::Off, vec![]),
        (
            "warn, personal_data = deny,long_text=off",
            GuardMode::Warn,
            vec![("personal_data", GuardMode::Deny), ("long_text", GuardMode::Off)],
        ),
    ];
    for (text, mode, by_kind) in table {
        let read = guards(&[("DRUMLINE_GUARDS", text)], "").unwrap();
        assert_eq!((read.mode, read.by_kind), (mode, by_kind), "{text}");
    }
}

#[test]
fn fields_are_allowed_by_type_and_pointer_as_a_text_or_a_list() {
    let of = |job_type: &str, pointer: &str, kind| GuardAllowance {
        job_type: job_type.to_owned(),
        pointer: pointer.to_owned(),
        kind,
    };
    let expected =
        [of("email.send", "/to", None), of("*", "/items/*/mail", Some("personal_data")), of("raw", "", None)];
    let text = "email.send:/to, *:/items/*/mail=personal_data, raw:";
    assert_eq!(guards(&[("DRUMLINE_GUARD_ALLOW", text)], "").unwrap().allow, expected);
    let file = "guard_allow = [\"email.send:/to\", \"*:/items/*/mail=personal_data\", \"raw:\"]";
    assert_eq!(guards(&[], file).unwrap().allow, expected);
}

#[test]
fn what_is_no_mode_and_no_field_is_a_problem_with_words() {
    let table = [
        ("DRUMLINE_GUARDS", "on", "must be warn, deny or off"),
        ("DRUMLINE_GUARDS", "warn,jwt", "is not KIND=MODE"),
        ("DRUMLINE_GUARDS", "warn,jwt=no", "must be warn, deny or off"),
        ("DRUMLINE_GUARDS", "warn,token=deny", "is none of secret, secret_name, jwt"),
        ("DRUMLINE_GUARDS", "warn,secret=off", "secrets are always refused"),
        ("DRUMLINE_GUARD_ALLOW", "/to", "is not TYPE:/pointer"),
        ("DRUMLINE_GUARD_ALLOW", "email.send", "is not TYPE:/pointer"),
        ("DRUMLINE_GUARD_ALLOW", "x.y:/k=secrets", "\"secrets\" is none of secret, secret_name, jwt"),
    ];
    for (name, text, says) in table {
        let problems = guards(&[(name, text)], "").unwrap_err();
        assert!(problems.contains(says) && problems.contains(name), "{problems}");
    }
}
