//! `billing.charge`: charges a customer through a payment provider, once.

mod answer;
mod payload;
mod provider;

use drumline::{Context, Failure, Handler};

use crate::settings::{BILLING_URL, Settings};
use payload::Charge;
use provider::Provider;

/// The handler of `billing.charge`.
///
/// It may run more than once for a charge: after a crash, a timeout or a broken connection. Two mechanisms ensure that the
/// customer pays once: the claim on the charge's key, and the same key at the provider.
pub(crate) struct Biller {
    provider: Option<Provider>,
}

impl Biller {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { provider: Provider::new(&settings.billing) }
    }
}

impl Handler<Charge> for Biller {
    async fn handle(&self, ctx: Context, charge: Charge) -> Result<(), Failure> {
        let unset = || Failure::retry(format_args!("charges have nowhere to go: {BILLING_URL} is not set"));
        let provider = self.provider.as_ref().ok_or_else(unset)?;
        // This is the last moment at which stopping costs nothing: the next owner of the message charges.
        if let Some(reason) = ctx.cancel_reason() {
            return Err(Failure::retry(format_args!("stopped before the charge was sent ({reason:?})")));
        }
        let receipt = provider.charge(&ctx, &charge).await?;
        ctx.set_result(&receipt)
    }
}

#[cfg(test)]
#[path = "billing/billing_tests.rs"]
mod tests;
