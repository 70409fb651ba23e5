use drumline::{Failure, OrReject};

fn name(name: Option<String>) -> Result<String, Failure> {
    name.or_reject()
}

fn main() {}
