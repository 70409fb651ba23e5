//! Leads, in four steps: `lead.received` (a form) -> `lead.enrich` -> `lead.crm` -> `lead.notify`.
//!
//! Each step has its own attempts, and declares the next one with [`Context::then`]: if the CRM is down for an hour, no lead is
//! enriched twice. Each service gets an idempotency key, so that a request whose response was lost has only one effect.

mod payload;
mod service;

use std::sync::Arc;

use drumline::{Context, Failure, Handler, Router};
use serde_json::json;

use crate::settings::{LEAD_CRM_URL, LEAD_ENRICH_URL, LEAD_NOTIFY_URL, Settings};
use crate::web::Web;
use payload::{AddToCrm, Enrich, Enrichment, Notify, Received};
use service::Service;

/// Adds the handlers of the four steps.
pub(crate) fn handlers(router: Router, settings: &Settings) -> Router {
    let web = Arc::new(Web::default());
    let settings = &settings.lead;
    let service = |name, variable, url: &Option<_>| {
        Service::new(name, variable, url.clone(), settings.timeout, Arc::clone(&web))
    };
    router
        .handle(received)
        .handle(Enricher(service("the enrichment", LEAD_ENRICH_URL, &settings.enrich_url)))
        .handle(CrmClient(service("the CRM", LEAD_CRM_URL, &settings.crm_url)))
        .handle(Notifier(service("the notification", LEAD_NOTIFY_URL, &settings.notify_url)))
}

/// Accepts a form. Its content is checked when it is decoded.
async fn received(ctx: Context, form: Received) -> Result<(), Failure> {
    ctx.then(&Enrich { lead: form.lead })
}

/// Looks a lead up.
struct Enricher(Service);

impl Handler<Enrich> for Enricher {
    async fn handle(&self, ctx: Context, job: Enrich) -> Result<(), Failure> {
        let key = format!("lead:{}:enrich", job.lead.lead_id);
        let answer = self.0.post(&ctx, &key, &json!({ "email": job.lead.email })).await?;
        // A lead without known data is valid, too.
        let enrichment = match answer.status.as_u16() {
            404 => Enrichment::default(),
            _ => self.0.read(&answer)?,
        };
        ctx.then(&AddToCrm { lead: job.lead, enrichment })
    }
}

/// Adds a lead to the CRM.
struct CrmClient(Service);

impl Handler<AddToCrm> for CrmClient {
    async fn handle(&self, ctx: Context, job: AddToCrm) -> Result<(), Failure> {
        let key = format!("lead:{}:crm", job.lead.lead_id);
        let answer = self.0.post(&ctx, &key, &job).await?;
        let service::Created { id } = self.0.read(&answer)?;
        ctx.set_result(&json!({ "crmId": id }))?;
        ctx.then(&Notify { lead_id: job.lead.lead_id, crm_id: id })
    }
}

/// Notifies sales.
struct Notifier(Service);

impl Handler<Notify> for Notifier {
    async fn handle(&self, ctx: Context, job: Notify) -> Result<(), Failure> {
        let key = format!("lead:{}:notify", job.lead_id);
        self.0.post(&ctx, &key, &job).await.map(drop)
    }
}

#[cfg(test)]
#[path = "lead/lead_tests.rs"]
mod tests;
