//! The queues that jobs are sent to.

use super::*;

#[test]
fn job_types_have_queues_that_they_are_sent_to() {
    let arn = "arn:aws:sqs:eu-west-1:123456789012:orders.fifo";
    let file = format!(
        "queue_url = \"{JOBS}\"\n[queue_by_type]\n\"email.send\" = \"{MAIL}\"\norder = \"{arn}\"\nlate = \"later\"\n"
    );
    let settings = read(&[], &[], &file).unwrap();
    let url = |job_type: &str| settings.queue_by_type[job_type].to_string();
    assert_eq!(url("email.send"), MAIL);
    assert_eq!(url("order"), "https://sqs.eu-west-1.amazonaws.com/123456789012/orders.fifo");
    assert_eq!(url("late"), "sqs-name:later", "a name, to be looked up");
    let shown = settings.effective.iter().find(|row| row.key == "queue_by_type.email.send").unwrap();
    assert_eq!((&shown.queue, shown.value.as_deref(), &shown.origin), (&None, Some(MAIL), &Origin::File));
}

#[test]
fn bad_queues_of_job_types_are_problems() {
    let table = [
        ("[queue_by_type]\na = \"jobs/\"".to_owned(), "queue_by_type.a = \"jobs/\": \"jobs/\" is not a URL"),
        ("[queue_by_type]\nemail.send = \"jobs\"".to_owned(), "put a name that contains dots in quotes"),
        (
            "queue_by_type = \"jobs\"".to_owned(),
            "must be a table of job types and the queues that they are sent to",
        ),
        (
            format!("[[queue]]\nurl = \"{MAIL}\"\n[queue.queue_by_type]\na = \"{MAIL}\""),
            "[[queue]] 1: queue_by_type: no such setting",
        ),
    ];
    for (file, says) in table {
        let file = if file.contains("[[queue]]") { file } else { format!("queue_url = \"{JOBS}\"\n{file}") };
        let problems = read(&[], &[], &file).unwrap_err().to_string();
        assert!(problems.contains(says), "{says} in {problems}");
    }
    let variable = [("DRUMLINE_QUEUE_URL", JOBS), ("DRUMLINE_QUEUE_BY_TYPE", "a=b")];
    let problems = read(&[], &variable, "").unwrap_err().to_string();
    assert!(
        problems.contains("a table cannot be a variable; write [queue_by_type] in the file"),
        "{problems}"
    );
}
