use super::*;

#[tokio::test]
async fn a_notification_of_sns_has_its_own_headers_and_attributes() {
    let application = Application::default();
    application.answer(200, &[], "");
    let router = router_to(&application.start().await);
    let body = serde_json::json!({
        "Type": "Notification", "MessageId": "sns-1", "TopicArn": "arn:aws:sns:eu-west-1:1:orders", "Subject": "New\norder",
        "Message": r#"{"type":"order.created","payload":{}}"#,
        "MessageAttributes": { "tenant": { "Type": "String", "Value": "ada" }, "n": { "Type": "Number", "Value": "7" } },
    });
    run(&router, Message { body: body.to_string(), ..message() }, RunControl::new()).await;
    let (headers, sent) = application.seen.lock().unwrap().pop().unwrap();
    assert_eq!(sent, body.to_string().as_bytes(), "the body stays whole");
    for (name, value) in [
        ("x-amz-sns-message-type", "Notification"),
        ("x-amz-sns-message-id", "sns-1"),
        ("x-amz-sns-topic-arn", "arn:aws:sns:eu-west-1:1:orders"),
        ("x-drumline-sns-subject", "New order"),
        ("x-drumline-type", "order.created"),
        ("x-aws-sqsd-attr-tenant", "ada"),
        ("x-aws-sqsd-attr-n", "7"),
        ("x-drumline-attr-type-n", "Number"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
}

#[tokio::test]
async fn a_notification_with_many_attributes_keeps_some_of_them() {
    let application = Application::default();
    application.answer(200, &[], "");
    let url = application.start().await;
    let attributes: Vec<String> =
        (0..40_000).map(|n| format!(r#""{n}":{{"Type":"Number","Value":""}}"#)).collect();
    let body = format!(
        r#"{{"Type":"Notification","MessageId":"1","TopicArn":"arn:t","Message":"","MessageAttributes":{{{}}}}}"#,
        attributes.join(",")
    );
    let ending = run(&router_to(&url), Message { body, ..message() }, RunControl::new()).await.ending;
    assert_eq!(ending, Ending::Done);
    let seen = application.seen.lock().unwrap();
    let sent = seen[0].0.keys().filter(|name| name.as_str().starts_with("x-aws-sqsd-attr-")).count();
    assert_eq!(sent, 32);
}

#[tokio::test]
async fn a_periodic_task_goes_to_its_path_with_its_name_and_time() {
    let application = Application::default();
    let url = application.start().await;
    let router = router_to(&url);
    let mut message = message();
    for (name, value) in
        [("path", "/work/nowhere"), ("task_name", "nightly"), ("scheduled_time", "2026-01-01T00:00:00Z")]
    {
        message.attributes.insert(format!("beanstalk.sqsd.{name}"), Attribute::text(value));
    }
    application.answer(200, &[], "");
    let ending = run(&router, message.clone(), RunControl::new()).await.ending;
    assert_eq!(ending, Ending::RetryAsked { after: None, reason: "404 Not Found".into() }, "another path");
    message.attributes.insert("beanstalk.sqsd.path".into(), Attribute::text("/work/nightly"));
    run(&router, message, RunControl::new()).await;
    let headers = application.seen.lock().unwrap().pop().unwrap().0;
    for (name, value) in [
        ("x-aws-sqsd-path", "/work/nightly"),
        ("x-aws-sqsd-taskname", "nightly"),
        ("x-aws-sqsd-scheduled-at", "2026-01-01T00:00:00Z"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    assert!(!headers.keys().any(|name| name.as_str().contains("beanstalk")));
}

#[tokio::test]
async fn a_path_outside_the_target_is_a_header_alone() {
    let application = Application::default();
    let router = router_to(&application.start().await);
    application.answer(200, &[], "");
    let mut message = message();
    message.attributes.insert("beanstalk.sqsd.path".into(), Attribute::text("/admin/users/delete"));
    assert_eq!(run(&router, message, RunControl::new()).await.ending, Ending::Done, "it goes to /work");
    assert_eq!(application.seen.lock().unwrap()[0].0["x-aws-sqsd-path"], "/admin/users/delete");
}
