//! The tables and limits of the guards as plain texts, so that clients in other languages are generated from the same ones.

/// A set of ASCII characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alphabet {
    /// Upper-case letters and digits.
    UpperAlphanumeric,
    /// Letters and digits.
    Alphanumeric,
    /// Lower-case hexadecimal digits.
    LowerHex,
    /// Hexadecimal digits of either case.
    Hex,
    /// Letters, digits, underscores and hyphens: base64url.
    Base64Url,
    /// Letters, digits, plus signs and slashes: base64.
    Base64,
    /// The characters of [`Base64Url`](Self::Base64Url), plus periods and equals signs.
    Dotted,
    /// Letters, digits and hyphens.
    Hyphenated,
}

impl Alphabet {
    /// Returns the characters as the content of a character class, in a notation that all dialects of regular expressions
    /// share.
    pub const fn class(self) -> &'static str {
        match self {
            Self::UpperAlphanumeric => "A-Z0-9",
            Self::Alphanumeric => "A-Za-z0-9",
            Self::LowerHex => "0-9a-f",
            Self::Hex => "0-9A-Fa-f",
            Self::Base64Url => "A-Za-z0-9_-",
            Self::Base64 => "A-Za-z0-9+/",
            Self::Dotted => "A-Za-z0-9_.=-",
            Self::Hyphenated => "A-Za-z0-9-",
        }
    }

    /// Returns true if the character belongs to the set.
    pub const fn contains(self, byte: u8) -> bool {
        match self {
            Self::UpperAlphanumeric => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Alphanumeric => byte.is_ascii_alphanumeric(),
            Self::LowerHex => byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'),
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Base64Url => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::Base64 => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'),
            Self::Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'=' | b'-'),
            Self::Hyphenated => byte.is_ascii_alphanumeric() || byte == b'-',
        }
    }
}

/// A secret that identifies itself by its first characters, its alphabet and its length.
///
/// It is found in a text if no ASCII letter or digit precedes `prefix`, and `length` characters of `alphabet` follow it. If
/// `exact` is true, no further character of the alphabet may follow. As a regular expression:
/// `(?<![A-Za-z0-9])PREFIX[CLASS]{LENGTH}(?![CLASS])`, with the last part only if `exact` is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// The name with its article, for people.
    pub what: &'static str,
    /// The first characters.
    pub prefix: &'static str,
    /// The characters after the prefix.
    pub alphabet: Alphabet,
    /// The number of these characters; the smallest number unless `exact` is true.
    pub length: usize,
    /// True if there must be no more of them.
    pub exact: bool,
}

const fn exact(what: &'static str, prefix: &'static str, alphabet: Alphabet, length: usize) -> Token {
    Token { what, prefix, alphabet, length, exact: true }
}

const fn at_least(what: &'static str, prefix: &'static str, alphabet: Alphabet, length: usize) -> Token {
    Token { what, prefix, alphabet, length, exact: false }
}

/// The secrets that identify themselves, in the formats that their issuers document. Test keys (`sk_test_`), publishable keys
/// (`pk_`) and ids without a secret (Twilio's `SK…`) are not among them.
pub const TOKENS: &[Token] = &[
    // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
    exact("an AWS access key ID", "AKIA", Alphabet::UpperAlphanumeric, 16),
    exact("a temporary AWS access key ID", "ASIA", Alphabet::UpperAlphanumeric, 16),
    // Session tokens of STS begin with their encoded origin.
    at_least("an AWS session token", "IQoJb3JpZ2lu", Alphabet::Base64, 100),
    at_least("an AWS session token", "FwoGZXIvYXdz", Alphabet::Base64, 100),
    // https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/
    at_least("a GitHub personal access token", "ghp_", Alphabet::Alphanumeric, 36),
    at_least("a GitHub OAuth token", "gho_", Alphabet::Alphanumeric, 36),
    at_least("a GitHub user token", "ghu_", Alphabet::Alphanumeric, 36),
    at_least("a GitHub app token", "ghs_", Alphabet::Alphanumeric, 36),
    at_least("a GitHub refresh token", "ghr_", Alphabet::Alphanumeric, 36),
    at_least("a GitHub personal access token", "github_pat_", Alphabet::Base64Url, 82),
    // https://docs.gitlab.com/security/tokens/#token-prefixes
    at_least("a GitLab personal access token", "glpat-", Alphabet::Base64Url, 20),
    at_least("a GitLab OAuth secret", "gloas-", Alphabet::Base64Url, 64),
    at_least("a GitLab deploy token", "gldt-", Alphabet::Base64Url, 20),
    at_least("a GitLab runner token", "glrt-", Alphabet::Base64Url, 20),
    at_least("a GitLab job token", "glcbt-", Alphabet::Base64Url, 20),
    at_least("a GitLab trigger token", "glptt-", Alphabet::LowerHex, 40),
    at_least("a GitLab feed token", "glft-", Alphabet::Base64Url, 20),
    at_least("a GitLab incoming mail token", "glimt-", Alphabet::Base64Url, 25),
    at_least("a GitLab agent token", "glagent-", Alphabet::Base64Url, 50),
    at_least("a GitLab SCIM token", "glsoat-", Alphabet::Base64Url, 20),
    // https://docs.slack.dev/authentication/tokens
    at_least("a Slack bot token", "xoxb-", Alphabet::Hyphenated, 16),
    at_least("a Slack user token", "xoxp-", Alphabet::Hyphenated, 16),
    at_least("a Slack workspace token", "xoxa-", Alphabet::Hyphenated, 16),
    at_least("a Slack refresh token", "xoxr-", Alphabet::Hyphenated, 16),
    at_least("a Slack session token", "xoxs-", Alphabet::Hyphenated, 16),
    at_least("a Slack configuration token", "xoxe-", Alphabet::Hyphenated, 100),
    at_least("an app-level Slack token", "xapp-", Alphabet::Hyphenated, 30),
    at_least("a Slack webhook", "hooks.slack.com/services/", Alphabet::Base64, 40),
    // https://docs.stripe.com/keys
    at_least("a Stripe secret key", "sk_live_", Alphabet::Alphanumeric, 16),
    at_least("a Stripe restricted key", "rk_live_", Alphabet::Alphanumeric, 16),
    at_least("a Stripe webhook secret", "whsec_", Alphabet::Base64, 32),
    // https://github.blog/changelog/2021-09-23-npm-has-a-new-access-token-format/
    exact("an npm access token", "npm_", Alphabet::Alphanumeric, 36),
    // https://pypi.org/help/#apitoken
    at_least("a PyPI token", "pypi-AgEIcHlwaS5vcmc", Alphabet::Base64Url, 50),
    exact("a RubyGems key", "rubygems_", Alphabet::LowerHex, 48),
    at_least("a Docker Hub token", "dckr_pat_", Alphabet::Base64Url, 27),
    // https://cloud.google.com/docs/authentication/api-keys
    exact("a Google API key", "AIza", Alphabet::Base64Url, 35),
    exact("a Google OAuth client secret", "GOCSPX-", Alphabet::Base64Url, 28),
    at_least("a Google access token", "ya29.", Alphabet::Base64Url, 60),
    // https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string
    exact("an Azure storage key", "AccountKey=", Alphabet::Base64, 86),
    exact("an Azure shared access key", "SharedAccessKey=", Alphabet::Base64, 43),
    exact("a SendGrid API key", "SG.", Alphabet::Dotted, 66),
    exact("a Shopify access token", "shpat_", Alphabet::Hex, 32),
    exact("a Shopify access token", "shpca_", Alphabet::Hex, 32),
    exact("a Shopify access token", "shppa_", Alphabet::Hex, 32),
    exact("a Shopify secret", "shpss_", Alphabet::Hex, 32),
    exact("a DigitalOcean token", "dop_v1_", Alphabet::LowerHex, 64),
    exact("a DigitalOcean token", "doo_v1_", Alphabet::LowerHex, 64),
    exact("a DigitalOcean refresh token", "dor_v1_", Alphabet::LowerHex, 64),
    at_least("an OpenAI key", "sk-proj-", Alphabet::Base64Url, 40),
    at_least("an OpenAI key", "sk-svcacct-", Alphabet::Base64Url, 40),
    at_least("an OpenAI key", "sk-admin-", Alphabet::Base64Url, 40),
    exact("an OpenAI key", "sk-", Alphabet::Alphanumeric, 48),
    at_least("an Anthropic key", "sk-ant-", Alphabet::Base64Url, 80),
    exact("a Hugging Face token", "hf_", Alphabet::Alphanumeric, 34),
    exact("a Databricks token", "dapi", Alphabet::LowerHex, 32),
    at_least("a Vault token", "hvs.", Alphabet::Base64Url, 90),
    at_least("a Vault batch token", "hvb.", Alphabet::Base64Url, 138),
    at_least("an Atlassian token", "ATATT3", Alphabet::Dotted, 186),
    exact("a Linear key", "lin_api_", Alphabet::Alphanumeric, 40),
    at_least("a Notion token", "ntn_", Alphabet::Alphanumeric, 46),
    at_least("a Postman key", "PMAK-", Alphabet::Hyphenated, 59),
    exact("a Pulumi token", "pul-", Alphabet::LowerHex, 40),
    exact("a Sentry token", "sntryu_", Alphabet::LowerHex, 64),
    at_least("a Grafana token", "glsa_", Alphabet::Base64Url, 41),
    at_least("a Sendinblue key", "xkeysib-", Alphabet::Hyphenated, 81),
    at_least("a Heroku key", "HRKU-AA", Alphabet::Base64Url, 58),
    at_least("an age key", "AGE-SECRET-KEY-1", Alphabet::UpperAlphanumeric, 58),
];

/// The first line of a PEM block up to its label.
pub const PEM_BEGIN: &str = "-----BEGIN ";

/// The end of that line.
pub const PEM_END: &str = "-----";

/// The endings of private key labels in all forms (`RSA PRIVATE KEY`, `OPENSSH PRIVATE KEY`, `PGP PRIVATE KEY BLOCK`). Labels
/// of certificates and public keys have other endings.
pub const PRIVATE_KEY_ENDINGS: &[&str] = &["PRIVATE KEY", "PRIVATE KEY BLOCK"];

/// The characters of a label.
pub const PEM_LABEL_CLASS: &str = "A-Z0-9 ";

/// The largest number of characters in a label.
pub const MAX_PEM_LABEL: usize = 64;

/// The largest size in bytes of a URL's part before the host. A program does not connect to longer URLs.
pub const MAX_URL_AUTHORITY: usize = 1_024;

/// The characters at which a URL's part with user, password and host ends.
pub const URL_AUTHORITY_ENDINGS: &str = "/?#\\\"'<>`,; \t\r\n";

/// The first characters of placeholders and masked passwords in URLs.
pub const PLACEHOLDER_BEGINNINGS: &str = "$*<{%[";

/// [Normalised](super::normalized) names of fields whose value with [this length](AWS_SECRET_KEY_LENGTH) and
/// [alphabet](Alphabet::Base64) is an AWS secret access key. The value alone looks like any other base64 text.
pub const AWS_SECRET_KEY_NAMES: &[&str] = &["secretaccesskey", "awssecretaccesskey", "awssecretkey"];

/// The length of an AWS secret access key.
pub const AWS_SECRET_KEY_LENGTH: usize = 40;

/// [Normalised](super::normalized) names of secrets, as whole names.
pub const SECRET_NAMES: &[&str] = &[
    "authorization",
    "proxyauthorization",
    "cookie",
    "setcookie",
    "pwd",
    "secret",
    "credential",
    "credentials",
];

/// Endings of [normalised](super::normalized) names of secrets, such as `newPassword` or `stripe_api_key`. `token` alone is not
/// among them: page tokens, device tokens and the like are references.
pub const SECRET_NAME_ENDINGS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secretkey",
    "secretaccesskey",
    "clientsecret",
    "appsecret",
    "sharedsecret",
    "webhooksecret",
    "signingsecret",
    "apikey",
    "apisecret",
    "apitoken",
    "accesstoken",
    "authtoken",
    "bearertoken",
    "refreshtoken",
    "sessiontoken",
    "privatekey",
    "signingkey",
    "encryptionkey",
];

/// The longest name that is compared, in bytes. Field names are not longer.
pub const MAX_NAME_BYTES: usize = 128;

/// The first characters of values that only refer to a secret: a field with such a name should contain one of these.
pub const REFERENCE_BEGINNINGS: &[&str] =
    &["arn:", "ssm:", "secretsmanager:", "vault:", "op://", "env:", "${", "{{"];

/// The first characters of the header of a JSON Web Token: `{"` in base64url.
pub const JWT_BEGINNING: &str = "eyJ";

/// The longest header of a JSON Web Token that is decoded, in characters.
pub const MAX_JWT_HEADER: usize = 4_096;

/// Numbers of payment cards by issuer: the first digits, and the lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardIssuer {
    /// The issuer.
    pub name: &'static str,
    /// The first number of the range of first digits.
    pub from: &'static str,
    /// The last one, of as many digits.
    pub to: &'static str,
    /// The numbers of digits.
    pub lengths: &'static [usize],
}

const fn cards(
    name: &'static str,
    from: &'static str,
    to: &'static str,
    lengths: &'static [usize],
) -> CardIssuer {
    CardIssuer { name, from, to, lengths }
}

/// The issuers of payment cards. Visa's numbers with 13 and 19 digits are left out: hardly any exist, and a tenth of all EANs
/// that begin with 4, and a hundredth of all random numbers with 19 digits, would match.
pub const CARD_ISSUERS: &[CardIssuer] = &[
    cards("Visa", "4", "4", &[16]),
    cards("Mastercard", "51", "55", &[16]),
    cards("Mastercard", "2221", "2720", &[16]),
    cards("American Express", "34", "34", &[15]),
    cards("American Express", "37", "37", &[15]),
    cards("Discover", "6011", "6011", &[16]),
    cards("Discover", "644", "649", &[16]),
    cards("Discover", "65", "65", &[16]),
    cards("Diners Club", "300", "305", &[14]),
    cards("Diners Club", "36", "36", &[14]),
    cards("Diners Club", "38", "39", &[14]),
    cards("JCB", "3528", "3589", &[16]),
    cards("UnionPay", "62", "62", &[16, 17, 18, 19]),
];

/// The lengths of the groups in which card numbers are written, with the same separator (a space or a hyphen) between them.
pub const CARD_GROUPS: &[&[usize]] = &[&[4, 4, 4, 4], &[4, 4, 4, 4, 3], &[4, 6, 5], &[4, 6, 4]];

/// The smallest and largest number of digits in a card number.
pub const CARD_DIGITS: (usize, usize) = (14, 19);

/// Endings of [normalised](super::normalized) names of fields with ids or with other numbers that have check digits: these
/// fields are not inspected for card numbers.
pub const NO_CARD_NAME_ENDINGS: &[&str] =
    &["id", "ids", "uuid", "uuids", "imei", "ean", "gtin", "isbn", "iban", "phone", "timestamp"];

/// The characters of an e-mail address before its `@`.
pub const EMAIL_LOCAL_CLASS: &str = "A-Za-z0-9.!#$%&'*+/=?^_`{|}~-";

/// The largest number of characters in an e-mail address before its `@`. See [RFC
/// 5321](https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3).
pub const MAX_EMAIL_LOCAL: usize = 64;

/// The characters of an e-mail address's domain. Its last label has at least two letters, and only letters.
pub const EMAIL_DOMAIN_CLASS: &str = "A-Za-z0-9.-";

/// The largest number of characters in a domain.
pub const MAX_EMAIL_DOMAIN: usize = 253;

/// Local parts that belong to no person: `git@github.com`.
pub const NO_PERSONS: &[&str] = &["git"];

/// The largest size of a text in a payload in bytes (UTF-8), 20 kB. A longer text waits in the queue, is received again with
/// each retry, and is copied with each dead letter.
pub const MAX_TEXT_BYTES: usize = 20_000;

/// The largest number of findings of one kind that are reported for one payload.
pub const MAX_FINDINGS_PER_KIND: usize = 20;
