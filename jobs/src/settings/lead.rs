//! The settings of the services that process leads.

use std::time::Duration;

use super::billing::SecretUri;
use super::reader::Reader;
use super::variables::{LEAD_CRM_URL, LEAD_ENRICH_URL, LEAD_NOTIFY_URL, LEAD_TIMEOUT};

/// Such services respond within seconds, and another attempt has the same key.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Far longer than any service's own limits.
const MAX_TIMEOUT: Duration = Duration::from_mins(10);

/// The services that process leads; `None` for one that is not set.
#[derive(Debug, Clone)]
pub(crate) struct LeadSettings {
    pub(crate) enrich_url: Option<SecretUri>,
    pub(crate) crm_url: Option<SecretUri>,
    pub(crate) notify_url: Option<SecretUri>,
    /// The time limit of one request, from connecting to the response's last byte.
    pub(crate) timeout: Duration,
}

impl LeadSettings {
    pub(super) const UNSET: Self =
        Self { enrich_url: None, crm_url: None, notify_url: None, timeout: DEFAULT_TIMEOUT };

    pub(super) fn read(read: &mut Reader<impl Fn(&str) -> Option<String>>) -> Self {
        let mut url = |name: &'static str| {
            let parsed = SecretUri::parse(&read.get(name)?);
            if let Err(problem) = &parsed {
                read.problem(name, *problem);
            }
            parsed.ok()
        };
        let (enrich_url, crm_url) = (url(LEAD_ENRICH_URL), url(LEAD_CRM_URL));
        let notify_url = url(LEAD_NOTIFY_URL);
        let timeout = read.time(LEAD_TIMEOUT, DEFAULT_TIMEOUT, MAX_TIMEOUT);
        Self { enrich_url, crm_url, notify_url, timeout }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn bad_urls_are_reported_without_secrets() {
        let lookup = |name: &str| match name {
            LEAD_ENRICH_URL => Some("https://u:secret@example.com/".to_owned()),
            LEAD_CRM_URL => Some("crm.example.com".to_owned()),
            LEAD_NOTIFY_URL => Some("https://example.com/hook?key=1".to_owned()),
            LEAD_TIMEOUT => Some("0s".to_owned()),
            _ => None,
        };
        let problems = Settings::from_lookup(lookup).unwrap_err();
        let names: Vec<&str> = problems.iter().map(|problem| problem.name).collect();
        assert_eq!(names, [LEAD_ENRICH_URL, LEAD_CRM_URL, LEAD_TIMEOUT]);
        assert!(!format!("{problems:?}").contains("secret"), "{problems:?}");
    }
}
