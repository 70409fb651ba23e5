use drumline::Job;

#[derive(serde::Deserialize)]
struct Welcome<'a> {
    name: &'a str,
}

impl<'a> Job for Welcome<'a> {
    const TYPE: &'static str = "welcome";
}

fn main() {}
