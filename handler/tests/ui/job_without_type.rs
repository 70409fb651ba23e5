use drumline::Job;

#[derive(serde::Deserialize)]
struct Welcome {}

impl Job for Welcome {}

fn main() {}
