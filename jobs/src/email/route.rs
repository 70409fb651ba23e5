//! The destination of mail: a mail server or a folder.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use drumline::{Context, Failure};
use lettre::transport::smtp::{AsyncSmtpTransportBuilder, Error};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use crate::name::Name;
use crate::settings::{MAIL_OUTBOX, MailRoute, SMTP_URL};
use crate::storage::atomic;

/// Permanent errors that concern the login and not the mail: authentication required, mechanism too weak, wrong credentials,
/// encryption required. See [RFC 4954](https://www.rfc-editor.org/rfc/rfc4954#section-6).
const LOGIN_CODES: [u16; 4] = [530, 534, 535, 538];

/// A [`MailRoute`] with its connections.
pub(crate) enum Route {
    Unset,
    Outbox(PathBuf),
    Smtp { builder: Box<AsyncSmtpTransportBuilder>, transport: OnceLock<AsyncSmtpTransport<Tokio1Executor>> },
}

impl Route {
    pub(crate) fn new(route: &MailRoute) -> Self {
        match route {
            MailRoute::Unset => Self::Unset,
            MailRoute::Outbox(folder) => Self::Outbox(folder.clone()),
            MailRoute::Smtp(builder) => Self::Smtp { builder: builder.clone(), transport: OnceLock::new() },
        }
    }

    pub(crate) async fn send(&self, ctx: &Context, delivery: &Name, message: Message) -> Result<(), Failure> {
        match self {
            Self::Unset => Err(Failure::retry(format_args!(
                "mail has nowhere to go: neither {SMTP_URL} nor {MAIL_OUTBOX} is set"
            ))),
            Self::Outbox(folder) => {
                let (folder, name) = (folder.clone(), format!("{delivery}.eml"));
                let put = move || Ok(put(&folder, &name, &message.formatted())?);
                ctx.blocking(put).await
            }
            Self::Smtp { builder, transport } => {
                // The pool needs the runtime, so the first mail creates it.
                let transport = transport.get_or_init(|| builder.as_ref().clone().build());
                transport.send(message).await.map(|_| ()).map_err(failure)
            }
        }
    }
}

/// Writes a mail into a folder. The same delivery always goes into the same file, so there is one file for any number of
/// attempts.
fn put(folder: &Path, name: &str, mail: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    atomic::write(&Dir::open_ambient_dir(folder, ambient_authority())?, OsStr::new(name), mail)
}

/// Converts an error: a permanent refusal of the server rejects the mail; all other errors are retried.
fn failure(error: Error) -> Failure {
    let about_login = error.status().is_some_and(|code| LOGIN_CODES.contains(&u16::from(code)));
    if error.is_permanent() && !about_login {
        Failure::reject(format_args!("the mail server refused the mail: {error}"))
    } else {
        Failure::from(error)
    }
}
