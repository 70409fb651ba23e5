use super::*;
use http::Method;

/// Sends a request to the job endpoint like the application.
async fn ask(url: &str, method: Method, body: &str) -> (u16, String) {
    let request = http::Request::builder().method(method).uri(url);
    let request = request.body(http_body_util::Full::new(Bytes::from(body.to_owned()))).unwrap();
    let client =
        hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let response = client.request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// Returns a run that waits for its answer, with its job's URL. The control cancels it.
async fn waiting(control: RunControl) -> (tokio::task::JoinHandle<RunReport>, String) {
    let application = Application::default();
    application.answer(0, &[], "");
    let router = router_to(&application.start().await);
    let running = tokio::spawn(async move { run(&router, message(), control).await });
    let url = loop {
        let url = application
            .seen
            .lock()
            .unwrap()
            .first()
            .map(|(headers, _)| headers["x-drumline-job-url"].clone());
        match url {
            Some(url) => break url.to_str().unwrap().to_owned(),
            None => tokio::task::yield_now().await,
        }
    };
    (running, url)
}

#[tokio::test]
async fn the_application_reports_on_its_attempt_by_the_job_url() {
    let (_running, url) = waiting(RunControl::new()).await;
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    let large = format!("\"{}\"", "x".repeat(40 * 1024));
    let huge = format!("\"{}\"", "x".repeat(70 * 1024));
    let table = [
        (Method::GET, "", "", 204),
        (Method::GET, "/checkpoint", "", 204),
        (Method::POST, "/progress", r#"{"done":1,"total":3,"unit":"rows"}"#, 204),
        (Method::POST, "/progress", r#"{"done":1,"total":3}"#, 204),
        (Method::POST, "/progress", r#"{"done":-1,"total":3}"#, 400),
        (Method::POST, "/checkpoint", r#"{"at": 7}"#, 204),
        (Method::POST, "/checkpoint", "not JSON", 400),
        (Method::POST, "/checkpoint", &huge, 413),
        (Method::POST, "/result", r#"{"rows":3}"#, 204),
        (Method::POST, "/result", &large, 413),
        (Method::GET, "/result", "", 405),
        (Method::POST, "/other", "{}", 404),
        (Method::POST, "/progress/more", "{}", 404),
    ];
    for (method, path, body, status) in table {
        let answer = ask(&format!("{url}{path}"), method.clone(), body).await;
        assert_eq!(answer.0, status, "{method} {path}: {}", answer.1);
    }
    assert_eq!(ask(&format!("{url}/checkpoint"), Method::GET, "").await, (200, r#"{"at": 7}"#.to_owned()));
    let unknown = format!("{}{}", &url[..url.len() - 32], "0".repeat(32));
    assert_eq!(ask(&unknown, Method::GET, "").await.0, 404);
}

#[tokio::test]
async fn idle_connections_make_room_for_reports() {
    let (_running, url) = waiting(RunControl::new()).await;
    let addr = Url::parse(&url).unwrap().socket_addrs(|| None).unwrap()[0];
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(tokio::net::TcpStream::connect(addr).await.unwrap());
    }
    let answer = tokio::time::timeout(Duration::from_secs(9), ask(&url, Method::GET, ""));
    assert_eq!(answer.await.expect("they are closed after two seconds").0, 204);
}

#[tokio::test]
async fn a_connection_is_closed_after_its_answer() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (_running, url) = waiting(RunControl::new()).await;
    let url = Url::parse(&url).unwrap();
    let addr = url.socket_addrs(|| None).unwrap()[0];
    let mut connection = tokio::net::TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", url.path());
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 204 ") && answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn an_attempt_that_is_over_is_answered_with_409() {
    for reason in [CancelReason::LeaseLost, CancelReason::Shutdown] {
        let control = RunControl::new();
        let (running, url) = waiting(control.clone()).await;
        control.cancel(reason);
        for path in ["", "/checkpoint"] {
            assert_eq!(ask(&format!("{url}{path}"), Method::GET, "").await.0, 409, "{reason:?}");
        }
        running.await.unwrap();
        assert_eq!(ask(&format!("{url}/checkpoint"), Method::POST, "1").await.0, 409, "{reason:?}");
    }
}
