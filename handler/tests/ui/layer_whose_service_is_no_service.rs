use drumline::{Job, Router};

#[derive(serde::Deserialize)]
struct Welcome {}

impl Job for Welcome {
    const TYPE: &'static str = "welcome";
}

#[derive(Clone)]
struct Timed<S>(S);

fn main() {
    Router::new().layer(tower_layer::layer_fn(Timed));
}
