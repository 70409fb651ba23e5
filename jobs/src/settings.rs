//! The settings of the jobs: the places of files, the limits of images, the destination of mail, and the payment provider.

mod billing;
#[cfg(feature = "images")]
mod image_limits;
mod invalid;
mod lead;
#[cfg(feature = "mail")]
mod mail;
mod places;
mod reader;
mod variables;
mod webhook;

use std::path::{Path, PathBuf};

pub(crate) use billing::{BillingSettings, SecretUri, Token};
#[cfg(feature = "images")]
pub(crate) use image_limits::ImageLimits;
pub use invalid::InvalidSetting;
pub(crate) use lead::LeadSettings;
#[cfg(feature = "mail")]
pub(crate) use mail::{MailRoute, MailSettings, USERS};
use reader::Reader;
pub use variables::{
    BILLING_TIMEOUT, BILLING_TOKEN, BILLING_URL, CSV_FORMULAS, FILE_ROOT, IMAGE_MEMORY, LEAD_CRM_URL,
    LEAD_ENRICH_URL, LEAD_NOTIFY_URL, LEAD_TIMEOUT, MAIL_FROM, MAIL_OUTBOX, MAIL_TEMPLATES, MAX_PIXELS,
    MAX_SOURCE_BYTES, SAMPLE_JOBS, SMTP_URL, VARIABLES, WEBHOOK_ENDPOINTS, WEBHOOK_TIMEOUT,
};
pub(crate) use webhook::WebhookSettings;

/// The variables of jobs that are not built in, each with the feature that adds them. They count as problems: a job type with
/// settings is expected to run.
const NOT_BUILT_IN: &[(&str, &str)] = &[
    #[cfg(not(feature = "images"))]
    (IMAGE_MEMORY, "images"),
    #[cfg(not(feature = "images"))]
    (MAX_PIXELS, "images"),
    #[cfg(not(feature = "images"))]
    (MAX_SOURCE_BYTES, "images"),
    #[cfg(not(feature = "mail"))]
    (SMTP_URL, "mail"),
    #[cfg(not(feature = "mail"))]
    (MAIL_FROM, "mail"),
    #[cfg(not(feature = "mail"))]
    (MAIL_TEMPLATES, "mail"),
    #[cfg(not(feature = "mail"))]
    (MAIL_OUTBOX, "mail"),
];

/// The settings of this crate's jobs. They are made by [`Settings::from_lookup`] or [`Settings::for_folder`], so every value
/// has been checked.
///
/// | variable | default | meaning |
/// |---|---|---|
/// | `DRUMLINE_FILE_ROOT` | `./data` | `file://` sources and targets must lie below it; apart from the templates, the outbox and the settings file |
/// | `DRUMLINE_CSV_FORMULAS` | `escape` | in CSV reports, text that a spreadsheet would run as a formula gets a leading `'`; `keep` writes it as it is |
/// | `DRUMLINE_MAX_PIXELS` | 100000000 | larger source images are refused before they are decoded |
/// | `DRUMLINE_IMAGE_MEMORY` | 536870912 | bytes of all decoded images at once, 33554432 to 1099511627776: jobs wait for their share, and one that needs more is rejected |
/// | `DRUMLINE_MAX_SOURCE_BYTES` | 33554432 | larger source files are refused before they are read whole |
/// | `DRUMLINE_SMTP_URL` | – | `smtps://USER:PASSWORD@HOST`, or `smtp://HOST?tls=required`; `smtp://HOST` is unencrypted |
/// | `DRUMLINE_MAIL_OUTBOX` | – | a folder to write mail to; not together with a mail server |
/// | `DRUMLINE_MAIL_FROM` | needed with a mail server | the sender, as `Name <address>` or `address` |
/// | `DRUMLINE_MAIL_TEMPLATES` | `mail-templates` | the folder of the templates and of `users.json` |
/// | `DRUMLINE_BILLING_URL` | – | where charges are sent, as `https://payments.example.com/v1/charges`; `http://` is unencrypted |
/// | `DRUMLINE_BILLING_TOKEN` | – | sent to the provider as `Authorization: Bearer`, and never shown |
/// | `DRUMLINE_BILLING_TIMEOUT` | 10s | how long the provider may take, up to 10m; beyond it the charge is tried again with its key |
/// | `DRUMLINE_WEBHOOK_ENDPOINTS` | – | a JSON file of the endpoints of webhooks: `{"NAME": {"url": "https://…", "secrets": ["whsec_…"]}}`. It is read again for each webhook, and must lie outside the file root |
/// | `DRUMLINE_WEBHOOK_TIMEOUT` | 15s | how long an endpoint may take, up to 10m |
/// | `DRUMLINE_LEAD_ENRICH_URL`, `DRUMLINE_LEAD_CRM_URL`, `DRUMLINE_LEAD_NOTIFY_URL` | – | the services that leads pass, each as `https://crm.example.com/v1/leads` |
/// | `DRUMLINE_LEAD_TIMEOUT` | 10s | how long one of them may take, up to 10m |
///
/// Without a mail server and without an outbox, `email.send` jobs are retried with this as their reason: mail must never count
/// as sent if no destination is set. The same applies to `billing.charge` jobs without a provider, `webhook.deliver` jobs
/// without endpoints, and the steps of leads without their services.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(crate) file_root: PathBuf,
    pub(crate) formulas: Formulas,
    #[cfg(feature = "images")]
    pub(crate) limits: ImageLimits,
    #[cfg(feature = "mail")]
    pub(crate) mail: MailSettings,
    pub(crate) billing: BillingSettings,
    pub(crate) webhook: WebhookSettings,
    pub(crate) lead: LeadSettings,
}

/// The treatment of text in CSV reports that a spreadsheet would run as a formula.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Formulas {
    /// The text gets a leading `'`, which spreadsheets read as "this is text".
    #[default]
    Escape,
    /// The text is written unchanged, for programs that compare names.
    Keep,
}

impl Settings {
    /// Reads the settings by their variables' names, from the environment or from another source of the caller. A variable that
    /// is set but blank counts as unset.
    ///
    /// # Errors
    ///
    /// Returns all invalid values, not only the first.
    ///
    /// ```
    /// use drumline_jobs::Settings;
    /// let problems = Settings::from_lookup(|name| match name {
    ///     "DRUMLINE_MAX_PIXELS" => Some("many".into()),
    ///     "DRUMLINE_SMTP_URL" => Some("smtp://mail.example.com".into()),
    ///     _ => None,
    /// })
    /// .unwrap_err();
    /// assert_eq!(problems.len(), 2);
    /// assert_eq!(problems[0].to_string(), "DRUMLINE_MAX_PIXELS: not a number from 1: many");
    /// ```
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<InvalidSetting>> {
        let mut read = Reader::new(lookup);
        let file_root = read.folder(FILE_ROOT, "data");
        let formulas = match read.get(CSV_FORMULAS).as_deref() {
            None | Some("escape") => Formulas::Escape,
            Some("keep") => Formulas::Keep,
            Some(other) => {
                read.problem(CSV_FORMULAS, format!("neither escape nor keep: {other}"));
                Formulas::default()
            }
        };
        #[cfg(feature = "images")]
        let limits = ImageLimits::read(&mut read);
        #[cfg(feature = "mail")]
        let mail = MailSettings::read(&mut read);
        let billing = BillingSettings::read(&mut read);
        let webhook = WebhookSettings::read(&mut read);
        let lead = LeadSettings::read(&mut read);
        for &(name, feature) in NOT_BUILT_IN {
            if read.get(name).is_some() {
                read.problem(
                    name,
                    format!("this program is built without the feature `{feature}` of drumline-jobs"),
                );
            }
        }
        #[cfg(feature = "mail")]
        if let Some(mail) = &mail {
            places::check_mail(&mut read, &file_root, mail);
        }
        places::check_config(&mut read, &file_root);
        places::check_endpoints(&mut read, &file_root, webhook.endpoints.as_deref());
        if !read.problems.is_empty() {
            return Err(read.problems);
        }
        Ok(Self {
            file_root,
            formulas,
            #[cfg(feature = "images")]
            limits,
            #[cfg(feature = "mail")]
            mail: mail.expect("without a sender there is a problem"),
            billing,
            webhook,
            lead,
        })
    }

    /// Returns settings for trying the jobs inside `folder`: files in `data`, templates from `mail-templates`, and mail written
    /// to `outbox`. They match the files that [`samples::prepare`](crate::samples::prepare) writes.
    pub fn for_folder(folder: &Path) -> Self {
        Self {
            file_root: folder.join("data"),
            formulas: Formulas::default(),
            #[cfg(feature = "images")]
            limits: ImageLimits::DEFAULT,
            #[cfg(feature = "mail")]
            mail: MailSettings::for_folder(folder),
            billing: BillingSettings::UNSET,
            webhook: WebhookSettings::UNSET,
            lead: LeadSettings::UNSET,
        }
    }
}

#[cfg(all(test, feature = "images", feature = "mail"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(values: &[(&str, &str)]) -> Result<Settings, Vec<InvalidSetting>> {
        Settings::from_lookup(|name| {
            values.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_has_to_be_set() {
        for values in [&[][..], &[(MAX_PIXELS, ""), (SMTP_URL, "")]] {
            let settings = read(values).unwrap();
            assert_eq!(settings.file_root, std::env::current_dir().unwrap().join("data"));
            assert_eq!(settings.formulas, Formulas::Escape);
            assert_eq!((settings.limits.pixels, settings.limits.source_bytes), (100_000_000, 33_554_432));
            assert!(matches!(settings.mail.route, MailRoute::Unset));
        }
    }

    #[test]
    fn every_bad_value_is_reported() {
        let problems = read(&[
            (MAX_PIXELS, "0"),
            (MAX_SOURCE_BYTES, "-1"),
            (CSV_FORMULAS, "yes"),
            (IMAGE_MEMORY, "1000"),
            (SMTP_URL, "http://mail.example.com"),
            (MAIL_FROM, "nobody"),
        ])
        .unwrap_err();
        let names: Vec<&str> = problems.iter().map(|problem| problem.name).collect();
        assert_eq!(names, [CSV_FORMULAS, MAX_PIXELS, MAX_SOURCE_BYTES, IMAGE_MEMORY, SMTP_URL, MAIL_FROM]);
    }

    #[test]
    fn mail_goes_one_way() {
        let problems =
            read(&[(SMTP_URL, "smtp://localhost"), (MAIL_OUTBOX, "out"), (MAIL_FROM, "a@b.example")]);
        assert_eq!(problems.unwrap_err()[0].name, MAIL_OUTBOX);
        let settings = read(&[(MAIL_OUTBOX, "out")]).unwrap();
        assert!(matches!(settings.mail.route, MailRoute::Outbox(folder) if folder.is_absolute()));
    }

    #[test]
    fn a_mail_server_needs_a_sender() {
        assert_eq!(read(&[(SMTP_URL, "smtp://localhost")]).unwrap_err()[0].name, MAIL_FROM);
        let settings = read(&[(SMTP_URL, "smtps://u:secret@localhost"), (MAIL_FROM, "a@b.example")]).unwrap();
        assert!(matches!(settings.mail.route, MailRoute::Smtp(_)));
        assert!(!format!("{settings:?}").contains("secret"));
    }

    #[test]
    fn every_variable_is_among_those_that_are_known() {
        let asked = std::cell::RefCell::new(std::collections::BTreeSet::new());
        for route in [SMTP_URL, MAIL_OUTBOX] {
            drop(Settings::from_lookup(|name| {
                asked.borrow_mut().insert(name.to_owned());
                (name == route).then(|| "smtp://localhost".to_owned())
            }));
        }
        // A setting of the runtime.
        asked.borrow_mut().remove("DRUMLINE_CONFIG");
        let known = VARIABLES.iter().filter(|name| **name != SAMPLE_JOBS).map(|&name| name.to_owned());
        assert_eq!(asked.into_inner(), known.collect());
    }

    #[test]
    fn a_blank_variable_is_unset_and_values_are_trimmed() {
        let blank = Settings::from_lookup(|_| Some(" \t\n".to_owned())).unwrap();
        assert!(matches!(blank.mail.route, MailRoute::Unset) && blank.billing.url.is_none());
        assert!(blank.webhook.endpoints.is_none());
        assert_eq!(read(&[(MAX_PIXELS, " 7\n")]).unwrap().limits.pixels, 7);
    }

    #[test]
    fn sample_jobs_run_only_if_they_are_asked_for() {
        let run = |switch: &str, pixels: &str| {
            crate::router_if_enabled(|name| match name {
                SAMPLE_JOBS => Some(switch.to_owned()),
                MAX_PIXELS => Some(pixels.to_owned()),
                _ => None,
            })
        };
        assert!(run(" on ", "").is_ok_and(|router| router.types().any(|job_type| job_type == "email.send")));
        for switch in ["", " ", "off"] {
            let error = run(switch, "many").err().unwrap();
            assert!(
                error.contains("DRUMLINE_FORWARD_TO") && error.contains("DRUMLINE_SAMPLE_JOBS=on"),
                "{error}"
            );
        }
        let error = run("yes", "many").err().unwrap();
        assert!(error.contains(SAMPLE_JOBS) && error.contains(MAX_PIXELS), "{error}");
    }

    proptest::proptest! {
        /// No text makes the parser of a setting panic.
        #[test]
        fn any_text_is_a_value_or_a_problem(
            index in 0..VARIABLES.len(),
            text in proptest::prop_oneof![
                proptest::prelude::any::<String>(),
                r"(smtps?|https?|file)?:?/{0,3}[\w.:@\[\]]{0,12}[/?#=&%\w]{0,12}",
                r"[0-9]{1,40}[a-zµ ]{0,6}",
                r"[\w <>@.,;\x22]{0,20}",
            ],
        ) {
            drop(Settings::from_lookup(|name| (name == VARIABLES[index]).then(|| text.clone())));
        }
    }

    #[test]
    fn a_bad_mail_url_does_not_show_its_password() {
        let problems = read(&[(SMTP_URL, "smtp:/u:secret@"), (MAIL_FROM, "a@b.example")]).unwrap_err();
        assert!(!format!("{problems:?}").contains("secret"), "{problems:?}");
    }
}

#[cfg(all(test, not(feature = "images"), not(feature = "mail")))]
mod light_tests {
    use super::*;

    #[test]
    fn a_job_that_is_not_built_in_cannot_be_set_up() {
        let set = |name: &str| matches!(name, SMTP_URL | MAX_PIXELS).then(|| "1".to_owned());
        let problems = Settings::from_lookup(set).expect_err("both are missing");
        let names: Vec<&str> = problems.iter().map(|problem| problem.name).collect();
        assert_eq!(names, [MAX_PIXELS, SMTP_URL]);
        assert!(problems[1].to_string().contains("feature `mail`"), "{problems:?}");
        assert!(Settings::from_lookup(|_| None).is_ok());
    }
}
