//! Alerts of new fingerprints: the text that a webhook or a topic receives.
