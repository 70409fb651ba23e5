#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use drumline::Router;
use drumline::core::{Claims, Ending};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::Settings;
use crate::settings::{MAIL_FROM, MAIL_OUTBOX, MAIL_TEMPLATES, SMTP_URL};
use crate::testing::{self, Tester, result};

/// Creates templates and users in a folder for the test.
fn templates() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        (
            "users.json",
            r#"{"7": {"name": "Zoë <b>", "email": "zoe@example.com"}, "8": {"name": "-", "email": "none"}}"#,
        ),
        ("hello.subject.txt", "Hello,\n  {{ user.name }}\n"),
        ("hello.txt", "Dear {{ user.name }} ({{ user.id }}), {{ deliveryId }}\n"),
        ("hello.html", "<p>Dear {{ user.name }}</p>\n"),
        ("plain.subject.txt", "Plain"),
        ("plain.txt", "Only text\n"),
        ("unknown.subject.txt", "x"),
        ("unknown.txt", "{{ user.shoe_size }}"),
        ("broken.subject.txt", "x"),
        ("broken.txt", "{% if %}"),
        ("subject-only.subject.txt", "x"),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn router(templates: &Path, more: &[(&str, &str)]) -> Router {
    let templates = templates.to_str().unwrap();
    let settings = Settings::from_lookup(|name| {
        let more = more.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let known = match name {
            MAIL_TEMPLATES => Some(templates),
            MAIL_FROM => Some("Drums <drums@mail.example>"),
            _ => None,
        };
        more.or(known).map(str::to_owned)
    });
    crate::router(&settings.unwrap())
}

fn mail(template: &str, user: &str) -> Value {
    json!({ "deliveryId": "d-1", "templateId": template, "userId": user })
}

/// Returns a tester that makes no claims, so that one mail can be sent again.
fn sender(router: Router) -> Tester {
    testing::tester(router).policy(|policy| policy.claims = Claims::Off)
}

async fn send(sender: &Tester, payload: Value) -> Ending {
    sender.payload("email.send", &payload).await.ending().clone()
}

#[tokio::test]
async fn an_outbox_holds_each_delivery_once() {
    let folder = templates();
    let outbox = folder.path().join("out/box");
    let sender = sender(router(folder.path(), &[(MAIL_OUTBOX, outbox.to_str().unwrap())]));
    for _ in 0..2 {
        assert_eq!(send(&sender, mail("hello", "7")).await, Ending::Done);
    }
    let names: Vec<_> = fs::read_dir(&outbox).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["d-1.eml"]);
    let text = fs::read_to_string(outbox.join("d-1.eml")).unwrap();
    for part in [
        "Message-ID: <d-1@mail.example>\r\n",
        "From: Drums <drums@mail.example>\r\n",
        "zoe@example.com",
        "multipart/alternative",
        // Only the HTML part is escaped.
        "&lt;b&gt;",
        "(7), d-1",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let subject = text.lines().find(|line| line.starts_with("Subject: ")).unwrap();
    assert!(subject.starts_with("Subject: Hello, "), "{subject}");
}

#[tokio::test]
async fn three_jobs_for_one_delivery_are_one_mail() {
    let folder = templates();
    let mut server = server("220 here", &[]).await;
    let tester = testing::tester(router(folder.path(), &[(SMTP_URL, &server.url)]));
    for number in 1..=3 {
        let job = tester.payload("email.send", &mail("hello", "7")).job_id(&format!("j-{number}"));
        let run = job.await;
        assert_eq!((run.is_done(), run.ran()), (true, number == 1), "{run}");
        assert_eq!(result(&run), json!({ "messageId": "<d-1@mail.example>" }));
    }
    assert_eq!(server.heard().iter().filter(|line| line.starts_with("RCPT")).count(), 1);
}

#[tokio::test]
async fn the_code_key_takes_the_place_of_the_envelopes() {
    let folder = templates();
    let tester = testing::tester(router(folder.path(), &[]));
    let job = tester.payload("email.send", &mail("hello", "7")).idempotency_key("k-1");
    assert_eq!(testing::identify(job).await.0, "delivery:d-1");
}

#[tokio::test]
async fn a_template_without_html_makes_a_plain_mail() {
    let folder = templates();
    let sender = sender(router(folder.path(), &[(MAIL_OUTBOX, folder.path().to_str().unwrap())]));
    assert_eq!(send(&sender, mail("plain", "7")).await, Ending::Done);
    let text = fs::read_to_string(folder.path().join("d-1.eml")).unwrap();
    assert!(
        text.contains("Content-Type: text/plain; charset=utf-8") && !text.contains("multipart"),
        "{text}"
    );
    assert!(text.ends_with("\r\n\r\nOnly text\r\n"), "{text}");
}

#[tokio::test]
async fn templates_are_read_again_once_they_change() {
    let folder = templates();
    let sender = sender(router(folder.path(), &[(MAIL_OUTBOX, folder.path().to_str().unwrap())]));
    for text in ["first", "the second one"] {
        fs::write(folder.path().join("plain.txt"), text).unwrap();
        assert_eq!(send(&sender, mail("plain", "7")).await, Ending::Done);
        assert!(fs::read_to_string(folder.path().join("d-1.eml")).unwrap().contains(text));
    }
}

#[tokio::test]
async fn what_cannot_be_composed_is_rejected() {
    let folder = templates();
    let sender = sender(router(folder.path(), &[(MAIL_OUTBOX, folder.path().to_str().unwrap())]));
    for (template, user, part) in [
        ("hello", "9", "no user \"9\""),
        ("hello", "8", "Missing domain or user"),
        ("nothing", "7", "no template nothing.subject.txt"),
        ("subject-only", "7", "no template subject-only.txt"),
        ("unknown", "7", "undefined value"),
        ("broken", "7", "syntax error"),
    ] {
        let ending = send(&sender, mail(template, user)).await;
        let Ending::Rejected { reason } = ending else { panic!("{template}, {user}: {ending:?}") };
        assert!(reason.contains(part), "{reason}");
        assert!(!folder.path().join("d-1.eml").exists());
    }
    for payload in [json!({}), json!({ "deliveryId": "../x", "templateId": "hello", "userId": "7" })] {
        let ending = send(&sender, payload).await;
        assert!(matches!(ending, Ending::InvalidPayload { .. }), "{ending:?}");
    }
}

#[tokio::test]
async fn control_characters_do_not_reach_a_header() {
    let folder = templates();
    fs::write(folder.path().join("odd.subject.txt"), "To {{ user.name }}\u{7}").unwrap();
    fs::write(folder.path().join("odd.txt"), "x").unwrap();
    let users = json!({
        "crlf": { "name": "Eve\r\nBcc: all@example.com", "email": "eve@example.com" },
        "lf": { "name": "Eve\nBcc: all@example.com", "email": "eve@example.com" },
        "nul": { "name": "Eve\u{0}", "email": "eve@example.com" },
        "c1": { "name": "Eve\u{85}Bcc: all@example.com", "email": "eve@example.com" },
        "address": { "name": "Eve", "email": "eve@example.com\r\nBcc: all@example.com" },
        "fine": { "name": "Eve, \"Bcc: all@example.com\" <x@example.com>", "email": "eve@example.com" },
    });
    fs::write(folder.path().join("users.json"), users.to_string()).unwrap();
    let outbox = folder.path().join("out");
    let sender = sender(router(folder.path(), &[(MAIL_OUTBOX, outbox.to_str().unwrap())]));
    for (template, user, part) in [
        ("hello", "crlf", "name has the control character U+000D"),
        ("hello", "lf", "name has the control character U+000A"),
        ("hello", "nul", "name has the control character U+0000"),
        ("hello", "c1", "name has the control character U+0085"),
        ("hello", "address", "address has the control character U+000D"),
        ("odd", "fine", "subject has the control character U+0007"),
    ] {
        let ending = send(&sender, mail(template, user)).await;
        let Ending::Rejected { reason } = ending else { panic!("{template}, {user}: {ending:?}") };
        assert!(reason.contains(part), "{reason}");
        assert!(!outbox.join("d-1.eml").exists());
    }
    assert_eq!(send(&sender, mail("hello", "fine")).await, Ending::Done);
    let text = fs::read_to_string(outbox.join("d-1.eml")).unwrap();
    let (header, _) = text.split_once("\r\n\r\n").unwrap();
    assert!(!header.lines().any(|line| line.to_lowercase().starts_with("bcc:")), "{header}");
    assert_eq!(header.lines().filter(|line| line.starts_with("To: ")).count(), 1, "{header}");
}

#[tokio::test]
async fn problems_that_an_operator_can_fix_are_retried() {
    let folder = templates();
    let outbox = (MAIL_OUTBOX, folder.path().to_str().unwrap());
    let missing = folder.path().join("not-mounted");
    let in_the_way = folder.path().join("plain.txt");
    for (router, part) in [
        (router(folder.path(), &[]), "neither DRUMLINE_SMTP_URL nor DRUMLINE_MAIL_OUTBOX"),
        (router(&missing, &[outbox]), "users.json in DRUMLINE_MAIL_TEMPLATES is not usable"),
        (router(folder.path(), &[(MAIL_OUTBOX, in_the_way.to_str().unwrap())]), "exists"),
    ] {
        let ending = send(&sender(router), mail("hello", "7")).await;
        assert!(matches!(&ending, Ending::RetryAsked { reason, .. } if reason.contains(part)), "{ending:?}");
    }
    fs::write(folder.path().join("users.json"), "{").unwrap();
    let ending = send(&sender(router(folder.path(), &[outbox])), mail("hello", "7")).await;
    assert!(
        matches!(&ending, Ending::RetryAsked { reason, .. } if reason.contains("users.json")),
        "{ending:?}"
    );
}

/// Starts a mail server that greets with `greeting` and responds with `answers` to the matching commands; it accepts any other
/// command with a 250. An empty answer closes the connection. The received lines are reported one by one.
async fn server(greeting: &'static str, answers: &'static [(&'static str, &'static str)]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let (report, heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(converse(stream, greeting, answers, report.clone()));
        }
    });
    Server { url, heard }
}

struct Server {
    url: String,
    heard: mpsc::UnboundedReceiver<String>,
}

impl Server {
    /// Returns all lines received so far.
    fn heard(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.heard.try_recv().ok()).collect()
    }
}

async fn converse(
    stream: TcpStream,
    greeting: &str,
    answers: &[(&str, &str)],
    report: mpsc::UnboundedSender<String>,
) -> Option<()> {
    let mut lines = BufReader::new(stream);
    lines.write_all(format!("{greeting}\r\n").as_bytes()).await.ok()?;
    let mut in_data = false;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        report.send(line.to_owned()).ok()?;
        if in_data && line != "." {
            continue;
        }
        let answer = answers.iter().find(|(command, _)| line.starts_with(command)).map(|(_, answer)| *answer);
        let usual = if line == "DATA" { "354 go on" } else { "250 ok" };
        let answer = answer.unwrap_or(usual);
        if answer.is_empty() {
            return None;
        }
        in_data = answer.starts_with("354");
        lines.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
}

#[tokio::test]
async fn a_mail_server_gets_the_mail_over_one_connection() {
    let folder = templates();
    let mut server = server("220 here", &[]).await;
    let sender = sender(router(folder.path(), &[(SMTP_URL, &server.url)]));
    for _ in 0..2 {
        assert_eq!(send(&sender, mail("hello", "7")).await, Ending::Done);
        // The connection returns to its pool in another task, which runs next here.
        tokio::task::yield_now().await;
    }
    let heard = server.heard();
    let count = |start: &str| heard.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!(count("RCPT TO:<zoe@example.com>"), 2);
    assert_eq!(count("MAIL FROM:<drums@mail.example>"), 2);
    assert_eq!(count("Message-ID: <d-1@mail.example>"), 2);
    assert_eq!(count("EHLO"), 1, "the connection is kept: {heard:#?}");
}

#[tokio::test]
async fn a_servers_answer_decides() {
    let folder = templates();
    let retry: [(&str, &[(&str, &str)]); 6] = [
        ("220 here", &[("RCPT", "451 greylisted")]),
        ("220 here", &[("MAIL", "421 too many")]),
        ("220 here", &[(".", "452 disk full")]),
        ("421 not now", &[]),
        ("220 here", &[("DATA", "")]),
        ("220 here", &[("MAIL", "530 authentication required")]),
    ];
    for (greeting, answers) in retry {
        let server = server(greeting, answers).await;
        let ending =
            send(&sender(router(folder.path(), &[(SMTP_URL, &server.url)])), mail("hello", "7")).await;
        assert!(matches!(ending, Ending::RetryAsked { after: None, .. }), "{answers:?}: {ending:?}");
    }
    let reject: [&[(&str, &str)]; 3] =
        [&[("RCPT", "550 no such user")], &[("MAIL", "553 not you")], &[(".", "554 spam")]];
    for answers in reject {
        let server = server("220 here", answers).await;
        let ending =
            send(&sender(router(folder.path(), &[(SMTP_URL, &server.url)])), mail("hello", "7")).await;
        let Ending::Rejected { reason } = ending else { panic!("{answers:?}: {ending:?}") };
        // An operator needs the server's own text.
        assert!(reason.contains(&answers[0].1[4..]), "{reason}");
    }
}

#[tokio::test]
async fn a_refused_login_does_not_cost_the_mail() {
    let folder = templates();
    let mut server =
        server("220 here", &[("EHLO", "250-here\r\n250 AUTH PLAIN"), ("AUTH", "535 wrong password")]).await;
    server.url = server.url.replace("smtp://", "smtp://user:secret@");
    let ending = send(&sender(router(folder.path(), &[(SMTP_URL, &server.url)])), mail("hello", "7")).await;
    let Ending::RetryAsked { reason, .. } = ending else { panic!("{ending:?}") };
    assert!(!reason.contains("secret"), "{reason}");
}

#[tokio::test]
async fn an_unreachable_server_is_tried_again() {
    let folder = templates();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", free.local_addr().unwrap());
    drop(free);
    let ending = send(&sender(router(folder.path(), &[(SMTP_URL, &url)])), mail("hello", "7")).await;
    assert!(matches!(ending, Ending::RetryAsked { .. }), "{ending:?}");
}
