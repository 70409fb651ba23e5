//! What an `email.send` job says.

use drumline::Job;
use serde::Deserialize;

use crate::name::Name;

/// Which mail to send to whom. References only: no address and no text travels through the queue.
#[expect(clippy::struct_field_names, reason = "the payload's own words")]
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EmailSend {
    /// What makes this mail the same mail when it is sent again.
    pub(crate) delivery_id: Name,
    pub(crate) template_id: Name,
    pub(crate) user_id: String,
}

impl Job for EmailSend {
    const TYPE: &'static str = "email.send";
}
