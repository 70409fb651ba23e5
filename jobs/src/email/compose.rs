//! From a job to a mail.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::io;
use std::path::PathBuf;

use drumline::{Failure, OrReject};
use lettre::Message;
use lettre::message::{Mailbox, MultiPart, SinglePart};
use minijinja::{Environment, ErrorKind, UndefinedBehavior, context, path_loader};
use serde::Deserialize;

use super::payload::EmailSend;
use crate::name::Name;
use crate::settings::MAIL_TEMPLATES;

/// The file of the users, beside the templates.
const USERS: &str = "users.json";

/// Makes mails from the templates and users of one folder.
pub(crate) struct Composer {
    from: Mailbox,
    folder: PathBuf,
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
        let mut templates = Environment::new();
        templates.set_loader(path_loader(&folder));
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        Self { from, folder, templates }
    }

    /// Reads files: to be run where that may block.
    pub(crate) fn compose(&self, mail: &EmailSend) -> Result<Message, Failure> {
        let user = self.user(&mail.user_id)?;
        let values = context! {
            user => context! { id => &*mail.user_id, name => &*user.name, email => &*user.email },
            deliveryId => mail.delivery_id.to_string(),
        };
        let subject = self.required(&mail.template_id, "subject.txt", &values)?;
        let text = self.required(&mail.template_id, "txt", &values)?;
        let html = self.render(&mail.template_id, "html", &values)?;

        let address = user.email.parse().or_reject()?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(Some(user.name), address))
            .message_id(Some(format!("<{}@{}>", mail.delivery_id, self.from.email.domain())))
            // A subject is one line, however its template is laid out.
            .subject(subject.split_whitespace().collect::<Vec<_>>().join(" "));
        match html {
            Some(html) => message.multipart(MultiPart::alternative_plain_html(text, html)).or_reject(),
            None => message.singlepart(SinglePart::plain(text)).or_reject(),
        }
    }

    /// A missing or broken file is the operator's to mend, and no job is to blame: that is retried. A missing user is
    /// the job's fault.
    fn user(&self, id: &str) -> Result<User, Failure> {
        let path = self.folder.join(USERS);
        let unusable = |error: &dyn Error| {
            Failure::retry(format_args!("{} in {MAIL_TEMPLATES} is not usable: {error}", path.display()))
        };
        let bytes = fs::read(&path).map_err(|error| unusable(&error))?;
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

/// A template that can't be read may be readable later; one that fails will fail again.
fn failure(error: minijinja::Error) -> Failure {
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    if causes.any(<dyn Error>::is::<io::Error>) {
        Failure::from(error)
    } else {
        Failure::reject(format_args!("{error:#}"))
    }
}
