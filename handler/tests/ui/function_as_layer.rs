use drumline::{Job, Router};

#[derive(serde::Deserialize)]
struct Welcome {}

impl Job for Welcome {
    const TYPE: &'static str = "welcome";
}

use drumline::run::HandlerService;

fn main() {
    Router::new().layer(|next: HandlerService| next);
}
