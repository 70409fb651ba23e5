use std::sync::Arc;

use drumline::run::{Event, Observer};

fn observer() -> Arc<dyn Observer> {
    Arc::new(|event: &Event<'_>| println!("{event:?}"))
}

fn main() {}
