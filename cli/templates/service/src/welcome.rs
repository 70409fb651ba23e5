//! `mail.welcome`: welcomes a new user, once.

use drumline::{Context, Failure, Job};
use serde::{Deserialize, Serialize};

/// The payload: references, no secrets and no large contents.
#[derive(Debug, Serialize, Deserialize)]
pub struct Welcome {
    pub user_id: u64,
    pub name: String,
}

impl Job for Welcome {
    const TYPE: &'static str = "mail.welcome";

    // One mail for each user, however often the job is sent or delivered.
    fn idempotency_key(&self) -> Option<String> {
        Some(format!("welcome:{}", self.user_id))
    }
}

/// Handles one attempt.
pub async fn welcome(ctx: Context, job: Welcome) -> Result<(), Failure> {
    if job.name.is_empty() {
        // No later attempt can succeed: the message goes to the DLQ, with this reason.
        return Err(Failure::reject("the name is empty"));
    }
    // `?` on any error asks for another attempt, after the backoff.
    let text = deliver(&job, ctx.idempotency_key()).await?;
    ctx.set_result(&text)
}

/// Stands for your mail provider. Give it the key, so that the provider too recognises a repeated request.
async fn deliver(job: &Welcome, _key: &str) -> Result<String, std::io::Error> {
    Ok(format!("welcomed {}", job.name))
}
