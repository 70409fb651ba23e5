use drumline::{Context, Failure, Job, Router};

#[derive(serde::Deserialize)]
struct Welcome {}

impl Job for Welcome {
    const TYPE: &'static str = "welcome";
}

fn main() {
    let sender = String::from("shop@example.com");
    Router::new().handle(move |_: Context, _: Welcome| async move {
        drop(sender);
        Ok::<(), Failure>(())
    });
}
