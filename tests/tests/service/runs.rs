//! The running programs of a service that `drumline new` has created.

use std::fs;
use std::process::Command;

use drumline_tests::{
    FunctionLaunch, Invocation, Launch, LocalQueue, Record, Setup, binary, eventually, sqs_event,
};
use serde_json::Value;

use crate::cargo::{cargo, program, service};

const JOB: &str = r#"{"type":"mail.welcome","payload":{"user_id":1,"name":"Ada"}}"#;

#[tokio::test]
async fn the_worker_does_a_job_and_drains() {
    let program = program("made");
    let queue = LocalQueue::create(Setup::default()).await;
    let worker = Launch::on(&queue).program(program).spawn();
    let id = queue.send(JOB);
    eventually("the job has left the queue", async || queue.find(&id).is_none()).await;
    worker.stop().await;
    assert!(queue.dead().is_empty());
}

#[tokio::test]
async fn the_function_does_the_same_job() {
    let program = program("made-function");
    let function = FunctionLaunch::new().program(program).spawn().await;
    let event = sqs_event(&[Record::hand_made(JOB)]);
    function.invoke(Invocation::new(event)).await.expect_all_done();
}

#[test]
fn without_a_checkout_it_takes_the_crates_of_the_registry() {
    let folder = tempfile::tempdir().unwrap();
    let mut new = Command::new(binary("drumline-cli", "drumline"));
    assert!(new.args(["new", "orders"]).current_dir(folder.path()).status().unwrap().success());
    let orders = folder.path().join("orders");
    assert!(
        cargo(&orders, &["fmt", "--check"]).status().unwrap().success(),
        "its CI demands the usual format"
    );
    let mut metadata = cargo(&orders, &["metadata", "--no-deps", "--format-version=1"]);
    let output = metadata.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let dependencies = metadata["packages"][0]["dependencies"].as_array().unwrap();
    let named = dependencies.iter().filter(|one| one["name"].as_str().unwrap().starts_with("drumline"));
    let requirements: Vec<&Value> = named.map(|one| &one["req"]).collect();
    assert_eq!(requirements, [concat!("^", env!("CARGO_PKG_VERSION")); 3]);
}

#[tokio::test]
async fn its_settings_are_valid() {
    let program = program("made");
    let file = service().join("drumline.toml").display().to_string();
    let config = Launch::new(&["config", "--config", &file]).program(program).finish().await;
    assert_eq!(config.status, Some(0), "{}", config.errors());
    assert!(config.errors().is_empty(), "{}", config.errors());
}

#[tokio::test]
async fn doctor_finds_nothing_in_its_infrastructure() {
    let terraform = service().join("infra/terraform");
    let doctor = async |module: &str| {
        let module = terraform.join(module).display().to_string();
        Launch::new(&["doctor", "template", &module]).finish().await
    };
    for module in ["fargate", "lambda"] {
        let finished = doctor(module).await;
        assert_eq!(finished.status, Some(0), "{module}: {finished:?}");
    }
    // It reads the modules of this checkout.
    let configuration = terraform.join("lambda/main.tf");
    let text = fs::read_to_string(&configuration).unwrap();
    fs::write(&configuration, text.replace("timeout_seconds            = 140", "timeout_seconds = 160"))
        .unwrap();
    assert_eq!(doctor("lambda").await.status, Some(1), "six times that is more than the visibility timeout");
}
