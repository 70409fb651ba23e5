//! The settings of rendering and sending mail.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::AsyncSmtpTransportBuilder;
use lettre::{AsyncSmtpTransport, Tokio1Executor};

use super::reader::Reader;
use super::variables::{MAIL_FROM, MAIL_OUTBOX, MAIL_TEMPLATES, SMTP_URL};

/// The time after which a silent mail server is abandoned and the mail retried. It is shorter than the RFC's five minutes for a
/// reply, because a retry costs less than an occupied slot.
const SMTP_TIMEOUT: Duration = Duration::from_secs(30);

/// The sender if mail only goes to a folder.
const OUTBOX_SENDER: &str = "Drumline <drumline@localhost>";

/// The file of the users, beside the templates.
pub(crate) const USERS: &str = "users.json";

/// The settings of rendering and sending mail.
#[derive(Debug, Clone)]
pub(crate) struct MailSettings {
    pub(crate) from: Mailbox,
    pub(crate) templates: PathBuf,
    pub(crate) route: MailRoute,
}

/// The destination of mail.
#[derive(Clone)]
pub(crate) enum MailRoute {
    /// No destination is set.
    Unset,
    /// Into a folder, one file for each delivery.
    Outbox(PathBuf),
    /// To a mail server; the connections are made on first use.
    Smtp(Box<AsyncSmtpTransportBuilder>),
}

/// Not derived, because a builder contains the password.
impl std::fmt::Debug for MailRoute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unset => f.write_str("Unset"),
            Self::Outbox(folder) => f.debug_tuple("Outbox").field(folder).finish(),
            Self::Smtp(_) => f.write_str("Smtp"),
        }
    }
}

impl MailSettings {
    /// Reads the settings. Returns `None` if no sender is set, after reporting that.
    pub(super) fn read(read: &mut Reader<impl Fn(&str) -> Option<String>>) -> Option<Self> {
        let route = MailRoute::read(read);
        let from = sender(read, &route);
        let templates = read.folder(MAIL_TEMPLATES, "mail-templates");
        Some(Self { from: from?, templates, route })
    }

    /// Returns settings with all paths below one folder.
    pub(super) fn for_folder(folder: &Path) -> Self {
        Self {
            from: outbox_sender(),
            templates: folder.join("mail-templates"),
            route: MailRoute::Outbox(folder.join("outbox")),
        }
    }
}

fn outbox_sender() -> Mailbox {
    OUTBOX_SENDER.parse().expect("a valid address")
}

impl MailRoute {
    fn read(read: &mut Reader<impl Fn(&str) -> Option<String>>) -> Self {
        match (read.get(SMTP_URL), read.get(MAIL_OUTBOX)) {
            (None, None) => Self::Unset,
            (None, Some(_)) => Self::Outbox(read.folder(MAIL_OUTBOX, "")),
            (Some(url), None) => match AsyncSmtpTransport::<Tokio1Executor>::from_url(&url) {
                Ok(builder) => Self::Smtp(Box::new(builder.timeout(Some(SMTP_TIMEOUT)))),
                Err(error) => {
                    read.problem(SMTP_URL, format!("not a usable smtp:// or smtps:// URL: {error}"));
                    Self::Unset
                }
            },
            (Some(_), Some(_)) => {
                read.problem(MAIL_OUTBOX, format!("{SMTP_URL} is set too: mail goes one way or the other"));
                Self::Unset
            }
        }
    }
}

fn sender(read: &mut Reader<impl Fn(&str) -> Option<String>>, route: &MailRoute) -> Option<Mailbox> {
    match (read.get(MAIL_FROM), route) {
        (Some(value), _) => {
            let parsed = value.parse();
            if let Err(error) = &parsed {
                read.problem(MAIL_FROM, format!("not a mail address: {value}: {error}"));
            }
            parsed.ok()
        }
        (None, MailRoute::Smtp(_)) => {
            read.problem(MAIL_FROM, format!("a sender is needed, since {SMTP_URL} is set"));
            None
        }
        (None, MailRoute::Unset | MailRoute::Outbox(_)) => Some(outbox_sender()),
    }
}
