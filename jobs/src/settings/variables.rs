//! The variables that the jobs read.

/// The switch that lets this repository's binaries run the jobs of this crate: `on` or `off`.
pub const SAMPLE_JOBS: &str = "DRUMLINE_SAMPLE_JOBS";
/// The folder that must contain all `file://` sources and targets.
pub const FILE_ROOT: &str = "DRUMLINE_FILE_ROOT";
/// The hosts' settings file, which no job may reach.
pub(super) const CONFIG: &str = "DRUMLINE_CONFIG";
/// The treatment of formulas in CSV reports.
pub const CSV_FORMULAS: &str = "DRUMLINE_CSV_FORMULAS";
/// The largest number of pixels of a source image.
pub const MAX_PIXELS: &str = "DRUMLINE_MAX_PIXELS";
/// The memory of all decoded images together.
pub const IMAGE_MEMORY: &str = "DRUMLINE_IMAGE_MEMORY";
/// The largest size of a source image in bytes.
pub const MAX_SOURCE_BYTES: &str = "DRUMLINE_MAX_SOURCE_BYTES";
/// The mail server.
pub const SMTP_URL: &str = "DRUMLINE_SMTP_URL";
/// The sender of all mail.
pub const MAIL_FROM: &str = "DRUMLINE_MAIL_FROM";
/// The folder of the mail templates and of `users.json`.
pub const MAIL_TEMPLATES: &str = "DRUMLINE_MAIL_TEMPLATES";
/// The folder to which mail is written instead of a mail server.
pub const MAIL_OUTBOX: &str = "DRUMLINE_MAIL_OUTBOX";
/// The payment provider's address for charges.
pub const BILLING_URL: &str = "DRUMLINE_BILLING_URL";
/// The secret with which the jobs authenticate at the payment provider.
pub const BILLING_TOKEN: &str = "DRUMLINE_BILLING_TOKEN";
/// The time limit of a request to the payment provider.
pub const BILLING_TIMEOUT: &str = "DRUMLINE_BILLING_TIMEOUT";
/// The file of the webhook endpoints.
pub const WEBHOOK_ENDPOINTS: &str = "DRUMLINE_WEBHOOK_ENDPOINTS";
/// The time limit of a request to an endpoint.
pub const WEBHOOK_TIMEOUT: &str = "DRUMLINE_WEBHOOK_TIMEOUT";

/// The service that looks leads up.
pub const LEAD_ENRICH_URL: &str = "DRUMLINE_LEAD_ENRICH_URL";
/// The CRM's address for new leads.
pub const LEAD_CRM_URL: &str = "DRUMLINE_LEAD_CRM_URL";
/// The service that notifies sales.
pub const LEAD_NOTIFY_URL: &str = "DRUMLINE_LEAD_NOTIFY_URL";
/// The time limit of a request to one of these services.
pub const LEAD_TIMEOUT: &str = "DRUMLINE_LEAD_TIMEOUT";

/// All variables that the jobs read.
pub const VARIABLES: &[&str] = &[
    SAMPLE_JOBS,
    FILE_ROOT,
    CSV_FORMULAS,
    IMAGE_MEMORY,
    MAX_PIXELS,
    MAX_SOURCE_BYTES,
    SMTP_URL,
    MAIL_FROM,
    MAIL_TEMPLATES,
    MAIL_OUTBOX,
    BILLING_URL,
    BILLING_TOKEN,
    BILLING_TIMEOUT,
    WEBHOOK_ENDPOINTS,
    WEBHOOK_TIMEOUT,
    LEAD_ENRICH_URL,
    LEAD_CRM_URL,
    LEAD_NOTIFY_URL,
    LEAD_TIMEOUT,
];
