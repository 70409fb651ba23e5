//! `email.send`: renders a mail from a template for a user, and sends it once.

mod compose;
mod payload;
mod route;
mod templates;

use std::sync::Arc;

use drumline::{Context, Failure, Handler};
use lettre::message::header::MessageId;
use serde_json::json;

use crate::settings::Settings;
use compose::Composer;
use payload::EmailSend;
use route::Route;

/// The handler of `email.send`.
pub(crate) struct EmailSender {
    composer: Arc<Composer>,
    route: Route,
}

impl EmailSender {
    pub(crate) fn new(settings: &Settings) -> Self {
        let mail = &settings.mail;
        Self {
            composer: Arc::new(Composer::new(mail.from.clone(), mail.templates.clone())),
            route: Route::new(&mail.route),
        }
    }
}

impl Handler<EmailSend> for EmailSender {
    async fn handle(&self, ctx: Context, job: EmailSend) -> Result<(), Failure> {
        let composer = Arc::clone(&self.composer);
        let delivery_id = job.delivery_id.clone();
        let message = ctx.blocking(move || composer.compose(&job)).await?;
        // This is the last moment at which stopping costs nothing: the next owner of the message sends the mail.
        if let Some(reason) = ctx.cancel_reason() {
            return Err(Failure::retry(format_args!("stopped before the mail was sent ({reason:?})")));
        }
        // Set before the mail is sent: a refused result must not fail a mail that was sent.
        let message_id = message.headers().get::<MessageId>().map(|id| id.as_ref().to_owned());
        ctx.set_result(&json!({ "messageId": message_id }))?;
        self.route.send(&ctx, &delivery_id, message).await
    }
}

#[cfg(test)]
#[path = "email/email_tests.rs"]
mod tests;
