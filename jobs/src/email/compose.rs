//! From a job to a mail.

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

/// Makes mails from the templates and users of one folder.
pub(crate) struct Composer {
    from: Mailbox,
    folder: Folder,
    /// Keeps what it has read, and reads it again once it has changed.
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

    /// Reads files: to be run where that may block.
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
        // A subject is one line, however its template is laid out.
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

    /// A missing or broken file is the operator's to mend, and no job is to blame: that is retried. A missing user is
    /// the job's fault.
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

    /// `None` where there is no such template.
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

/// Rejects a text of a mail's header that holds a line end or another control character: it could begin a header of its own.
fn without_control(what: &str, text: &str) -> Result<(), Failure> {
    match text.chars().find(|c| c.is_control()) {
        Some(control) => Err(Failure::reject(format_args!(
            "the {what} has the control character U+{:04X}, which no mail header may hold",
            u32::from(control)
        ))),
        None => Ok(()),
    }
}

/// A template that can't be read may be readable later; one that fails will fail again.
fn failure(error: minijinja::Error) -> Failure {
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    if causes.any(<dyn Error>::is::<io::Error>) {
        Failure::from(error)
    } else {
        Failure::reject(format_args!("{error:#}"))
    }
}
