//! Templates with resources that `LocalStack` lacks (tables, tasks, schedules), deployed unchanged to ministack.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use url::form_urlencoded::Serializer;

use crate::aws_api::authorization;
use crate::eventually::eventually;
use crate::http::exchange;
use crate::stack::{CLOUDFORMATION, form, read_template, unique_name};

/// A stack on the emulator of `DynamoDB`, which ends with the emulator.
pub struct TableStack {
    outputs: BTreeMap<String, String>,
}

impl TableStack {
    /// Deploys a template, with its table if it has one, and waits until it is complete.
    pub async fn deploy(endpoint: &str, template: &str, parameters: &[(&str, &str)]) -> Self {
        let (name, body) = (unique_name(), read_template(template));
        // Tests on LocalStack leave out the table.
        let table = [("Store", "table")].into_iter().filter(|_| body.contains("\n  Store:\n"));
        let parameters: Vec<_> = table.chain(parameters.iter().copied()).collect();
        call(endpoint, "CreateStack", &form(&name, &body, &parameters)).await;
        let mut described = String::new();
        eventually("the stack is complete", async || {
            described = call(endpoint, "DescribeStacks", &[("StackName".to_owned(), name.clone())]).await;
            let status = element(&described, "StackStatus").unwrap();
            assert!(!status.contains("FAILED") && !status.contains("ROLLBACK"), "{template}: {described}");
            status == "CREATE_COMPLETE"
        })
        .await;
        let outputs = described.split("<OutputKey>").skip(1).map(|rest| {
            let key = rest.split_once("</OutputKey>").unwrap().0;
            (key.to_owned(), element(rest, "OutputValue").unwrap().to_owned())
        });
        Self { outputs: outputs.collect() }
    }

    /// Returns the output with this name.
    pub fn output(&self, name: &str) -> &str {
        self.outputs.get(name).unwrap_or_else(|| panic!("no output {name} in {:?}", self.outputs))
    }
}

/// Calls CloudFormation, and returns its response in XML.
async fn call(endpoint: &str, action: &str, parameters: &[(String, String)]) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("Action", action).append_pair("Version", CLOUDFORMATION).extend_pairs(parameters);
    let request = Request::post(endpoint)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", authorization("cloudformation"))
        .body(Full::new(Bytes::from(form.finish())));
    let answer = exchange(request.unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(answer.body()).into_owned();
    assert!(answer.status().is_success(), "{action}: {text}");
    text
}

/// Returns the text of the first element with this name.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}
