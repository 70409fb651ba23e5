//! Renders a job's mail.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::path::PathBuf;

use drumline::{Failure, OrReject};
use lettre::Message;
use lettre::message::{Mailbox, MultiPart, SinglePart};
use minijinja::{Environment, ErrorKind, context};
use serde::Deserialize;

use super::payload::EmailSend;
use super::templates::Folder;
use crate::name::Name;
use crate::settings::{MAIL_TEMPLATES, USERS};

/// Renders mails from the templates and users of one folder.
pub(crate) struct Composer {
    from: Mailbox,
    folder: Folder,
    /// Caches the files, and reads them again after they have changed.
    templates: Environment<'static>,
}

#[derive(Deserialize)]
struct User {
    name: String,
    email: String,
}

impl Composer {
    pub(crate) fn new(from: Mailbox, folder: PathBuf) -> Self {
        let folder = Folder::new(folder);
        let templates = folder.templates();
        Self { from, folder, templates }
    }

    /// Renders a mail. It reads files, so it must run where blocking is allowed.
    pub(crate) fn compose(&self, mail: &EmailSend) -> Result<Message, Failure> {
        let user = self.user(&mail.user_id)?;
        without_control("user's name", &user.name)?;
        without_control("user's address", &user.email)?;
        let values = context! {
            user => context! { id => &*mail.user_id, name => &*user.name, email => &*user.email },
            deliveryId => mail.delivery_id.to_string(),
        };
        let subject = self.required(&mail.template_id, "subject.txt", &values)?;
        let text = self.required(&mail.template_id, "txt", &values)?;
        let html = self.render(&mail.template_id, "html", &values)?;
        // A subject is one line, even if its template has several.
        let subject = subject.split_whitespace().collect::<Vec<_>>().join(" ");
        without_control("subject", &subject)?;

        let address = user.email.parse().or_reject()?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(Some(user.name), address))
            .message_id(Some(format!("<{}@{}>", mail.delivery_id, self.from.email.domain())))
            .subject(subject);
        match html {
            Some(html) => message.multipart(MultiPart::alternative_plain_html(text, html)).or_reject(),
            None => message.singlepart(SinglePart::plain(text)).or_reject(),
        }
    }

    /// Returns a user. A missing or broken file is the operator's to fix and not the job's fault, so it is retried. A missing
    /// user is the job's fault.
    fn user(&self, id: &str) -> Result<User, Failure> {
        let path = self.folder.path().join(USERS);
        let unusable = |error: &dyn Error| {
            Failure::retry(format_args!("{} in {MAIL_TEMPLATES} is not usable: {error}", path.display()))
        };
        let bytes = self.folder.users(USERS).map_err(|error| unusable(&error))?;
        let mut users: HashMap<String, User> =
            serde_json::from_slice(&bytes).map_err(|error| unusable(&error))?;
        users.remove(id).ok_or_else(|| Failure::reject(format_args!("there is no user {id:?} in {USERS}")))
    }

    fn required(&self, template: &Name, part: &str, values: &minijinja::Value) -> Result<String, Failure> {
        let missing = || Failure::reject(format_args!("there is no template {template}.{part}"));
        self.render(template, part, values)?.ok_or_else(missing)
    }

    /// Renders a template. Returns `None` if it does not exist.
    fn render(
        &self,
        template: &Name,
        part: &str,
        values: &minijinja::Value,
    ) -> Result<Option<String>, Failure> {
        match self.templates.get_template(&format!("{template}.{part}")) {
            Ok(template) => template.render(values).map(Some).map_err(failure),
            Err(error) if error.kind() == ErrorKind::TemplateNotFound => Ok(None),
            Err(error) => Err(failure(error)),
        }
    }
}

/// Rejects a text of a mail's header that contains a line end or another control character: it could begin another header.
fn without_control(what: &str, text: &str) -> Result<(), Failure> {
    match text.chars().find(|c| c.is_control()) {
        Some(control) => Err(Failure::reject(format_args!(
            "the {what} has the control character U+{:04X}, which no mail header may hold",
            u32::from(control)
        ))),
        None => Ok(()),
    }
}

/// Converts an error of a template: one that cannot be read may be readable later; one that fails will fail again.
fn failure(error: minijinja::Error) -> Failure {
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    if causes.any(<dyn Error>::is::<io::Error>) {
        Failure::from(error)
    } else {
        Failure::reject(format_args!("{error:#}"))
    }
}
