use drumline::{Failure, OrReject};

enum MailError { Refused }

fn send() -> Result<(), MailError> {
    Err(MailError::Refused)
}

fn welcome() -> Result<(), Failure> {
    send().or_reject()
}

fn main() {}
