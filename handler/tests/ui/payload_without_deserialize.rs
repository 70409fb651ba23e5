use drumline::Job;

struct Welcome {
    user_id: u64,
}

impl Job for Welcome {
    const TYPE: &'static str = "welcome";
}

fn main() {}
