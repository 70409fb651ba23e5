//! A mail server that accepts every mail and keeps it.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The mails so far, each as the lines of its data.
type Mails = Arc<Mutex<Vec<String>>>;

/// The server; it ends when dropped.
pub struct MailServer {
    url: String,
    mails: Mails,
    server: JoinHandle<()>,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl MailServer {
    /// Serves on a free port of the loopback interface.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let mails = Mails::default();
        let server = tokio::spawn({
            let mails = Arc::clone(&mails);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let mails = Arc::clone(&mails);
                    // A client that closes its connection has no more mail.
                    tokio::spawn(async move { drop(converse(stream, &mails).await) });
                }
            }
        });
        Self { url, mails, server }
    }

    /// Returns the value for `DRUMLINE_SMTP_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the mails accepted so far, in order.
    pub fn mails(&self) -> Vec<String> {
        self.mails.lock().unwrap().clone()
    }
}

/// The server's side of [SMTP](https://www.rfc-editor.org/rfc/rfc5321), as far as sending one mail after the other needs it.
async fn converse(stream: TcpStream, mails: &Mails) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream);
    lines.write_all(b"220 test\r\n").await?;
    let mut mail: Option<String> = None;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let reply: &[u8] = match (&mut mail, line.trim_end()) {
            (Some(text), ".") => {
                mails.lock().unwrap().push(std::mem::take(text));
                mail = None;
                b"250 ok\r\n"
            }
            (Some(text), _) => {
                text.push_str(&line);
                continue;
            }
            (None, "DATA") => {
                mail = Some(String::new());
                b"354 go ahead\r\n"
            }
            (None, _) => b"250 ok\r\n",
        };
        lines.write_all(reply).await?;
    }
}
